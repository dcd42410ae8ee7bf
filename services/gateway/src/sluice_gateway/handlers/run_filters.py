"""Which runs a list, a count, a stream or a command to many is about."""

from functools import reduce
from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import AfterValidator, Field, StringConstraints

from sluice_contracts.ids import Tenant
from sluice_contracts.labels import MAX_LABELS
from sluice_contracts.requests import Rfc3339
from sluice_contracts.status import Phase
from sluice_gateway.domain.identity import Scope
from sluice_gateway.domain.reach import Reach
from sluice_gateway.domain.run_query import LabelTest, RunFilter
from sluice_gateway.handlers.app_keys import IDENTITY
from sluice_gateway.handlers.operations import QueryParameter

__all__ = ["FILTER", "run_filter"]


def _label_test(text: str) -> str:
    LabelTest.parse(text)
    return text


_LABEL_TEST: Final = Field(
    json_schema_extra={"pattern": r"^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?!?="}
)
"""What the schema says; the check itself has better words."""

_WORKFLOW: Final[QueryParameter[str]] = QueryParameter(
    name="workflow",
    type=Annotated[str, StringConstraints(min_length=1, max_length=63)],
    description="The catalogue entry.",
)
_PHASE: Final[QueryParameter[tuple[Phase, ...]]] = QueryParameter(
    name="phase",
    type=tuple[Phase, ...],
    description="One of the phases that are wanted.",
    repeatable=True,
    default=(),
)
_LABEL: Final[QueryParameter[tuple[str, ...]]] = QueryParameter(
    name="label",
    type=Annotated[
        tuple[Annotated[str, AfterValidator(_label_test), _LABEL_TEST], ...],
        Field(max_length=MAX_LABELS),
    ],
    description="`name=value`, or `name!=value` for another value or none; all have to hold.",
    repeatable=True,
    default=(),
)
_TENANT: Final[QueryParameter[str]] = QueryParameter(
    name="tenant", type=Tenant, description="Who the runs belong to; without it, anybody."
)
_SINCE: Final[QueryParameter[Any]] = QueryParameter(
    name="since", type=Rfc3339, description="Accepted at this time or later."
)
_UNTIL: Final[QueryParameter[Any]] = QueryParameter(
    name="until", type=Rfc3339, description="Accepted before this time."
)
_TEXT: Final[QueryParameter[str]] = QueryParameter(
    name="q",
    type=Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,128}$")],
    description="A part of the id.",
)

FILTER: Final = (_WORKFLOW, _PHASE, _LABEL, _TENANT, _SINCE, _UNTIL, _TEXT)
"""The query parameters that `run_filter` reads."""


def run_filter(request: web.Request, *scopes: Scope) -> RunFilter:
    """Return the filter that the query states, of the runs for which all scopes are allowed."""
    reaches = map(request[IDENTITY].access.reach, scopes)
    return _stated(request).seen_within(reduce(Reach.shared_with, reaches))


def _stated(request: web.Request) -> RunFilter:
    return RunFilter(
        tenant=_TENANT.of(request),
        workflow=_WORKFLOW.of(request),
        phases=frozenset(_PHASE.of(request)),
        labels=tuple(LabelTest.parse(text) for text in _LABEL.of(request)),
        since=_SINCE.of(request),
        until=_UNTIL.of(request),
        text=_TEXT.of(request),
    )
