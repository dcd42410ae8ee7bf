"""Records on the status topic about a request that is not, or not yet, a run."""

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from sluice_contracts.ids import RunId, RunKey, Tenant
from sluice_contracts.problems import Problem

__all__ = ["QueueNotice", "RefusalNotice"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class RefusalNotice(_Model):
    """A request that was refused because its id belongs to another run.

    It is not a phase of that run, which continues: `ce_type` is `sluice.request.refused`.
    """

    event_id: Annotated[str, Field(description="The same for every copy of this notice.")]
    run_id: RunId
    tenant: Tenant
    request: Annotated[
        str, Field(description="Where the request stands, as `topic/partition@offset`.")
    ]
    problem: Annotated[Problem, Field(description="Why it was refused.")]
    observed_at: Annotated[AwareDatetime, Field(description="When it was refused.")]

    @property
    def key(self) -> RunKey:
        """Say whose id was used; also the record's key."""
        return RunKey(self.tenant, self.run_id)


class QueueNotice(_Model):
    """A request that the dispatcher has read but cannot carry out yet.

    It is not a phase of the run: `ce_type` is `sluice.request.queued`. A later notice of the same
    request, or an event of the run, replaces it.
    """

    event_id: Annotated[str, Field(description="The same for every copy of this notice.")]
    run_id: RunId
    tenant: Tenant
    request: Annotated[
        str, Field(description="Where the request stands, as `topic/partition@offset`.")
    ]
    held_by: Annotated[str, Field(description="What holds it up, in one word for programs.")]
    detail: Annotated[str, Field(description="The same in a sentence.")]
    since: Annotated[AwareDatetime, Field(description="Since when it is held up by that.")]
    observed_at: Annotated[AwareDatetime, Field(description="When this was seen.")]

    @property
    def key(self) -> RunKey:
        """Say which run waits; also the record's key."""
        return RunKey(self.tenant, self.run_id)
