"""The answer of the HTTP API about limits: how many runs are live and wait, and may be live."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sluice_contracts.ids import Tenant

__all__ = ["ConcurrencyDocument", "LimitsDocument", "LoadDocument", "TenantLoad", "WorkflowLoad"]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LoadDocument(_Document):
    """How many runs there are, of those that the principal may read."""

    live: Annotated[int, Field(ge=0, description="Runs whose Workflow exists and has not ended.")]
    waiting: Annotated[int, Field(ge=0, description="Accepted runs without a Workflow yet.")]
    limit: Annotated[
        int | None,
        Field(
            ge=0,
            description="How many may be live. Null if there is no limit, if the gateway does not "
            "know it, or if it counts runs that the principal may not read.",
        ),
    ]


_Paused = Annotated[
    str | None,
    Field(description="Why the limits file lets nothing start for now. Null as `limit` may be."),
]


class TenantLoad(LoadDocument):
    """The runs of a tenant."""

    name: Tenant
    paused: _Paused
    weight: Annotated[
        float | None,
        Field(description="Its share, in relation to other weights. Null as `limit` may be."),
    ]


class ConcurrencyDocument(_Document):
    """How many runs of one tenant may be live that have one value of a parameter."""

    key: Annotated[str, Field(description="JSON Pointer of the parameter in a request.")]
    limit: Annotated[int, Field(ge=1)]
    when_full: Annotated[
        Literal["queue", "reject", "replace"],
        Field(description="What happens to a request of a value that has as many."),
    ]


class WorkflowLoad(LoadDocument):
    """The runs of a workflow."""

    name: str
    paused: _Paused
    concurrency: ConcurrencyDocument | None


class LimitsDocument(_Document):
    """What is live and what waits, against what may be live."""

    total: Annotated[LoadDocument, Field(description="All runs.")]
    tenants: Annotated[
        tuple[TenantLoad, ...],
        Field(description="Tenants with a run that is live or waits, in order of their names."),
    ]
    more_tenants: Annotated[
        int, Field(ge=0, description="Tenants that are left out: those with the fewest such runs.")
    ]
    workflows: Annotated[tuple[WorkflowLoad, ...], Field(description="As the catalogue has them.")]
