"""Entries of the catalogue: a name, its parameters, and the workflow that runs."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias

from pydantic import JsonValue, ValidationError
from pydantic_core import ErrorDetails

from sluice_contracts.graphs import PlannedGraph
from sluice_contracts.problems import MAX_FIELD_ERRORS, FieldError
from sluice_workflows.errors import CatalogueError, InvalidParametersError
from sluice_workflows.extensions import Extension
from sluice_workflows.near_names import near_names
from sluice_workflows.parameters import (
    Kind,
    Parameters,
    encode,
    encoded_length,
    is_multiline,
    kind_of,
    max_bytes,
    wire_names,
)
from sluice_workflows.settings import CompileSettings

__all__ = [
    "PARAMETER_NAME",
    "Builder",
    "Concurrency",
    "Couler",
    "Entry",
    "TemplateRef",
    "WhenFull",
]

# Couler has no types. Builders get the module as an argument, so that only the compiler imports it:
# the gateway reads the catalogue without Couler.
Couler: TypeAlias = Any

Builder: TypeAlias = Callable[[Couler, CompileSettings], Iterable[Extension]]
"""Calls Couler to describe a workflow, and returns extensions for what Couler cannot describe.

A builder never sees values: it refers to `{{workflow.parameters.<name>}}`.
"""

# Records of the request topic and objects in etcd have size limits. Argo stores a second copy of a
# large argument in the status of the step that reads it.
_MAX_ARGUMENT_BYTES: Final = 512 * 1024
_DNS_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DNS_SUBDOMAIN: Final = rf"(?=.{{1,253}}\Z){_DNS_LABEL}(\.{_DNS_LABEL})*"
# The holders of a key are kept in an annotation of one object.
_MOST_HOLDERS: Final = 100
PARAMETER_NAME: Final = r"[A-Za-z0-9_-]{1,128}"
"""The names of parameters that Argo accepts."""


@dataclass(frozen=True, kw_only=True)
class TemplateRef:
    """A WorkflowTemplate that exists in the cluster, or a ClusterWorkflowTemplate."""

    name: str
    cluster_scope: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(_DNS_SUBDOMAIN, self.name):
            raise CatalogueError(
                f"`{self.name}` is not a valid name of a WorkflowTemplate (RFC 1123)"
            )


WhenFull: TypeAlias = Literal["queue", "reject", "replace"]
"""What happens to a request for a key that has no room: it waits, ends as Rejected, or stops the
oldest run of the key and takes its place."""


@dataclass(frozen=True, kw_only=True)
class Concurrency:
    """How many runs of one tenant and one key may be live; exact, also across dispatchers.

    `key` is a JSON Pointer to a declared parameter, such as `/parameters/account`.
    """

    key: str
    limit: int = 1
    when_full: WhenFull = "queue"

    def __post_init__(self) -> None:
        if not re.fullmatch(rf"/parameters/{PARAMETER_NAME}", self.key):
            raise CatalogueError(
                f"concurrency.key: {self.key!r} must be the JSON Pointer of a parameter, such as "
                "/parameters/account"
            )
        if not 1 <= self.limit <= _MOST_HOLDERS:
            raise CatalogueError(f"concurrency.limit: must be from 1 to {_MOST_HOLDERS}")

    @property
    def parameter(self) -> str:
        """The name of the parameter that `key` points to."""
        return self.key.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One workflow that clients may start.

    `private_parameters` says that values are neither kept to be shown nor part of events.
    `graph` is shown to clients; `sluice_workflows.planned_graph` makes one. None if unknown.

    Raises:
        CatalogueError: the definition is unsafe or can never work.
    """

    name: str
    description: str
    parameters: type[Parameters]
    template: Builder | TemplateRef
    private_parameters: bool = False
    graph: PlannedGraph | None = None
    concurrency: Concurrency | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(_DNS_LABEL, self.name):
            raise CatalogueError(
                f"`{self.name}` is not a valid name of a workflow: use 1 to 63 lower-case letters, "
                "digits and dashes, with a letter or digit at both ends"
            )
        if not issubclass(self.parameters, Parameters):
            raise self._wrong("its parameter model does not extend sluice_workflows' Parameters")
        self._check_fields()
        self._check_defaults()
        limited = self.concurrency
        if limited is not None and limited.parameter not in wire_names(self.parameters):
            raise self._wrong(f"concurrency.key: it has no parameter `{limited.parameter}`")

    def arguments(self, parameters: Mapping[str, JsonValue]) -> dict[str, str]:
        """Return the encoded arguments for `parameters`, including defaults.

        Raises:
            InvalidParametersError: some are invalid. The details never repeat a value.
        """
        try:
            checked = self.parameters.model_validate(dict(parameters))
        except ValidationError as e:
            errors = e.errors(include_url=False, include_input=False, include_context=False)
            named = [self._field_error(error) for error in errors[:MAX_FIELD_ERRORS]]
            raise self._invalid(named, more=len(errors) - len(named)) from None
        values = checked.model_dump(by_alias=True)
        arguments: dict[str, str] = {}
        errors_found: list[FieldError] = []
        for name, kind in self._kinds.items():
            try:
                arguments[name] = encode(kind, values[name])
            except ValueError as e:
                errors_found.append(FieldError(pointer=_pointer((name,)), detail=str(e)))
        if errors_found:
            named = errors_found[:MAX_FIELD_ERRORS]
            raise self._invalid(named, more=len(errors_found) - len(named))
        return arguments

    @cached_property
    def _kinds(self) -> Mapping[str, Kind]:
        return {name: kind_of(field) for name, field in wire_names(self.parameters).items()}

    def parameter_schema(self) -> dict[str, JsonValue]:
        """Return the JSON Schema (2020-12) of the parameters that clients send."""
        schema = self.parameters.model_json_schema()
        for name, field in wire_names(self.parameters).items():
            limit = max_bytes(field)
            if limit is not None:
                lines = "" if is_multiline(field) else " on one line"
                note = f"At most {limit} bytes as UTF-8{lines}."
                shown = schema["properties"][name]
                shown["description"] = f"{shown.get('description', '')} {note}".strip()
        return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema

    def _check_fields(self) -> None:
        size = 0
        for name, field in wire_names(self.parameters).items():
            if not re.fullmatch(PARAMETER_NAME, name):
                raise self._wrong(
                    f"parameter `{name}`: Argo accepts only letters, digits, `_` and `-`"
                )
            try:
                kind_of(field)
            except TypeError as e:
                raise self._wrong(f"parameter `{name}` {e}") from None
            size += encoded_length(field)
        if size > _MAX_ARGUMENT_BYTES:
            raise self._wrong(
                f"its parameters may have {size} bytes once encoded, but only "
                f"{_MAX_ARGUMENT_BYTES} fit into etcd together with the run's status; lower a "
                "max_bytes"
            )

    def _check_defaults(self) -> None:
        try:
            self.parameters.model_validate(
                {
                    name: field.get_default(call_default_factory=True, validated_data={})
                    for name, field in wire_names(self.parameters).items()
                    if not field.is_required()
                }
            )
        except ValidationError as e:
            for error in e.errors(include_url=False):
                if error["type"] != "missing":
                    place = ".".join(str(part) for part in error["loc"])
                    raise self._wrong(
                        f"the default of parameter `{place}`: {error['msg']}"
                    ) from None

    def _field_error(self, error: ErrorDetails) -> FieldError:
        match error["type"]:
            case "missing":
                detail = "is required"
            case "extra_forbidden":
                detail = self._unknown(str(error["loc"][-1]))
            case _:
                detail = error["msg"].removeprefix("Value error, ")
        return FieldError(pointer=_pointer(error["loc"]), detail=detail)

    def _unknown(self, name: str) -> str:
        known = wire_names(self.parameters)
        listed = ", ".join(f"`{each}`" for each in known) or "none"
        hint = "".join(f"; did you mean `{each}`?" for each in near_names(name, known))
        return f"unknown parameter; this workflow takes {listed}{hint}"

    def _invalid(self, named: list[FieldError], *, more: int) -> InvalidParametersError:
        if more:
            rest = f"{more} more places are wrong"
            named = [*named, FieldError(pointer=_pointer(()), detail=rest)]
        return InvalidParametersError(self.name, errors=tuple(named))

    def _wrong(self, detail: str) -> CatalogueError:
        return CatalogueError(f"workflow `{self.name}`: {detail}")


def _pointer(location: tuple[int | str, ...]) -> str:
    """Return a JSON Pointer (RFC 6901) into the request; names from clients are shortened."""
    parts = [
        str(part)[:128].encode(errors="backslashreplace").decode().replace("~", "~0")
        for part in ("parameters", *location)
    ]
    return "".join("/" + part.replace("/", "~1") for part in parts)
