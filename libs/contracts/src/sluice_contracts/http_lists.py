"""Answers of the HTTP API about many runs: lists, counts, and the items of a batch."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from sluice_contracts.http_documents import RunLinks
from sluice_contracts.ids import RunId, Tenant
from sluice_contracts.labels import Labels
from sluice_contracts.problems import Problem
from sluice_contracts.requests import Priority
from sluice_contracts.status import Phase

__all__ = [
    "ItemDocument",
    "ItemsDocument",
    "ListLinks",
    "RunCountsDocument",
    "RunListDocument",
    "RunSummaryDocument",
]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RunSummaryDocument(_Document):
    """A run in a list."""

    id: RunId
    tenant: Tenant
    workflow: str | None
    workflow_name: str
    phase: Phase
    terminal: bool
    attempt: Annotated[int, Field(ge=1)]
    progress: str | None
    labels: Labels
    priority: Priority
    parent: RunId | None
    accepted_at: Annotated[AwareDatetime, Field(description="Its place in the list: newest first.")]
    started_at: AwareDatetime | None
    finished_at: AwareDatetime | None
    links: RunLinks


class ListLinks(_Document):
    """Where a list continues."""

    next: Annotated[str | None, Field(description="The next part; null if this is the last one.")]


class RunListDocument(_Document):
    """A part of a list of runs, newest first."""

    runs: tuple[RunSummaryDocument, ...]
    next_cursor: Annotated[
        str | None, Field(description="Continues the list as `cursor`, on any replica.")
    ]
    links: ListLinks


class RunCountsDocument(_Document):
    """How many runs there are, by phase; phases without runs are left out."""

    counts: dict[Phase, int]
    total: int


_Status = Literal[200, 202, 400, 403, 404, 409, 413, 422, 429, 500, 503]


class ItemDocument(_Document):
    """What became of one item of a request that has many."""

    status: Annotated[
        _Status, Field(description="The HTTP status that the item would have got by itself.")
    ]
    id: Annotated[RunId | None, Field(description="The run; null if the item names none.")]
    tenant: Tenant | None
    phase: Annotated[Phase | None, Field(description="Of the run, as far as it is known.")]
    problem: Annotated[Problem | None, Field(description="Why the item was not accepted.")]
    links: RunLinks | None


class ItemsDocument(_Document):
    """What became of each item, in the order of the items."""

    items: tuple[ItemDocument, ...]
