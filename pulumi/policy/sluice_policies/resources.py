"""A resource as rules see it, and what the stack's settings say about exceptions."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias


class _Unknown:
    """Something that is not known before it is made."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()
"""Is there, but nobody knows yet what it is; the rule looks again when it is being made."""

Value: TypeAlias = Any
"""What a property can be: whatever JSON can say, or UNKNOWN."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A resource that a stack wants. ``refers``: who is named by each property, by URN."""

    type: str
    name: str
    props: Mapping[str, Value]
    urn: str = ""
    protected: bool = False
    refers: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Whether it has properties; a preview sees none of objects in a cluster to be made."""
        return bool(self.props)

    def at(self, *path: str) -> Value:
        """Return a property within properties; None if there is none."""
        found: Value = self.props
        for step in path:
            if not isinstance(found, Mapping):
                return found if found is UNKNOWN else None
            found = found.get(step)
        return found

    def each(self, *path: str) -> list[Value]:
        """Return the items of a list within properties, none if it is not known."""
        found = self.at(*path)
        return list(found) if isinstance(found, Sequence) and not isinstance(found, str) else []


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a stack says explicitly, and may therefore do."""

    environment: str = "dev"
    today: dt.date = dt.date.min
    public_until: dt.date | None = None
    any_cidr: bool = False
    pods_are_the_node: bool = False


Rule = Callable[[Resource, Said], Iterator[str]]
"""Checks one resource, and yields what is wrong with it."""

StackRule = Callable[[Sequence[Resource], Said], Iterator[tuple[str, str]]]
"""Checks all resources together, and yields what is wrong, with the URN of the resource."""
