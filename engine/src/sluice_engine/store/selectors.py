"""Label and field selectors, as query parameters give them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sluice_engine.store.errors import bad_request

__all__ = ["EVERYTHING", "Selector", "parse_selector"]

_KEY: Final = r"(?:[A-Za-z0-9.\-]+/)?[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_VALUE: Final = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?\Z")
_SET: Final = re.compile(rf"(?P<key>{_KEY})\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)\Z")
_EQUALITY: Final = re.compile(rf"(?P<key>{_KEY})\s*(?P<operator>==|=|!=)\s*(?P<value>.*)\Z")
_EXISTENCE: Final = re.compile(rf"(?P<not>!?)\s*(?P<key>{_KEY})\Z")
_OUTSIDE_PARENTHESES: Final = re.compile(r",(?![^(]*\))")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on a label: its value is, or is not, among `values`; None stands for absent."""

    key: str
    values: frozenset[str] | None
    wanted: bool

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether labels fulfil the condition; `!=` and `notin` hold for an absent label."""
        if self.values is None:
            return (self.key in labels) is self.wanted
        return (labels.get(self.key) in self.values) is self.wanted


@dataclass(frozen=True, slots=True)
class Selector:
    """All the conditions of a list or watch."""

    requirements: tuple[Requirement, ...] = ()
    name: str | None = None
    namespace: str | None = None
    never: bool = field(default=False)

    def matches(self, *, namespace: str, name: str, labels: Mapping[str, str]) -> bool:
        """Return whether an object is selected."""
        return (
            not self.never
            and (self.name is None or self.name == name)
            and (self.namespace is None or self.namespace == namespace)
            and all(requirement.matches(labels) for requirement in self.requirements)
        )


EVERYTHING: Final = Selector()


def _requirement(text: str) -> Requirement:
    if found := _SET.match(text):
        values = frozenset(value.strip() for value in found["values"].split(","))
        requirement = Requirement(found["key"], values, wanted=found["operator"] == "in")
    elif found := _EQUALITY.match(text):
        values = frozenset({found["value"].strip()})
        requirement = Requirement(found["key"], values, wanted=found["operator"] != "!=")
    elif found := _EXISTENCE.match(text):
        requirement = Requirement(found["key"], None, wanted=not found["not"])
    else:
        raise bad_request(f"unable to parse requirement: {text!r}")
    if not all(_VALUE.match(value) for value in requirement.values or ()):
        raise bad_request(f"unable to parse requirement: values of {text!r}: Invalid label value")
    return requirement


def parse_selector(labels: str = "", fields: str = "") -> Selector:
    """Parse `labelSelector` and `fieldSelector`.

    Fields known are `metadata.name` and `metadata.namespace`, as for custom resources.

    Raises:
        ApiError: 400, one of them does not parse or names another field.
    """
    requirements = tuple(
        _requirement(part.strip()) for part in _OUTSIDE_PARENTHESES.split(labels) if part.strip()
    )
    found: dict[str, str] = {}
    for part in filter(None, fields.split(",")):
        name, operator, value = part.partition("=")
        if name not in {"metadata.name", "metadata.namespace"} or not operator:
            raise bad_request(f"field label not supported: {part}")
        value = value.removeprefix("=")
        if found.setdefault(name, value) != value:
            return Selector(never=True)
    return Selector(requirements, found.get("metadata.name"), found.get("metadata.namespace"))
