"""What became of a run: the value of every record on the status and results topics."""

import hashlib
from enum import Enum, StrEnum, auto
from typing import Annotated, Any, Final, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from sluice_contracts.ids import RunId, RunKey, Tenant
from sluice_contracts.problems import Problem

__all__ = [
    "TERMINAL_PHASES",
    "Phase",
    "RefusalNotice",
    "StatusEvent",
    "Step",
    "Truncation",
    "event_id",
]


class Phase(StrEnum):
    """How far a run has come."""

    ACCEPTED = "Accepted"
    """Acknowledged by Kafka; seen only in the gateway's view, never on a topic."""
    SUBMITTED = "Submitted"
    """The Workflow exists; Argo has not looked at it yet."""
    PENDING = "Pending"
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    ERROR = "Error"
    REJECTED = "Rejected"
    """Never became a Workflow, and never will: `problem` says why."""
    EXPIRED = "Expired"
    """Its `expires_at` had passed before it could be started."""
    DELETED = "Deleted"
    """The Workflow was deleted before it had finished."""

    @property
    def terminal(self) -> bool:
        """Return whether nothing follows within the same attempt."""
        return self in TERMINAL_PHASES


TERMINAL_PHASES: Final = frozenset(
    {
        Phase.SUCCEEDED,
        Phase.FAILED,
        Phase.ERROR,
        Phase.REJECTED,
        Phase.EXPIRED,
        Phase.DELETED,
    }
)


class Truncation(Enum):
    """What an event leaves out so that it can be written; each level includes those before it."""

    STEP_OUTPUTS = auto()
    """The outputs of the steps."""
    STEP_LOGS = auto()
    """The links to their logs."""
    STEPS = auto()
    """All about the steps."""
    DETAILS = auto()
    """The run's outputs as well; message and progress keep their first 1,024 characters."""


_KEPT_TEXT = 1024


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Step(_Model):
    """A step of the run: a node of the Workflow's status."""

    id: Annotated[str, Field(description="Argo's node id.")]
    name: Annotated[str, Field(description="The name to show, e.g. `count(0)`.")]
    template: Annotated[str | None, Field(description="The template it runs, if it has one.")] = (
        None
    )
    type: Annotated[str | None, Field(description="Argo's node type, e.g. Pod or DAG.")] = None
    phase: Annotated[str, Field(description="Argo's node phase; may also be Skipped or Omitted.")]
    message: Annotated[str | None, Field(description="Argo's message about the step.")] = None
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    outputs: Annotated[
        dict[str, JsonValue], Field(description="Output parameters by name; `result` if captured.")
    ] = {}
    logs: Annotated[
        dict[str, str],
        Field(
            description="Where the archived log of each container is, as in "
            '`{"main": "s3://bucket/key"}`; empty if logs are not archived.'
        ),
    ] = {}


class StatusEvent(_Model):
    """One state of one run.

    A consumer that ignores events whose `sequence` is not greater than the last one that it saw of
    the run never sees a non-terminal state after a terminal one of the same attempt.
    """

    event_id: Annotated[str, Field(description="The same for every copy of this event.")]
    run_id: RunId
    tenant: Tenant
    workflow: Annotated[
        str | None, Field(description="The catalogue entry; null if the request named none.")
    ]
    workflow_name: Annotated[str, Field(description="Name of the Workflow, existing or not.")]
    namespace: Annotated[str | None, Field(description="Namespace of the Workflow.")] = None
    uid: Annotated[str | None, Field(description="uid of the Workflow; null if none was made.")] = (
        None
    )
    attempt: Annotated[int, Field(ge=1, description="Raised when a finished run is retried.")] = 1
    phase: Phase
    terminal: Annotated[bool, Field(description="Whether nothing follows in this attempt.")]
    progress: Annotated[str | None, Field(description="Steps done and known, e.g. `3/5`.")] = None
    message: Annotated[str | None, Field(description="Argo's message about the Workflow.")] = None
    steps: Annotated[
        tuple[Step, ...],
        Field(description="The steps that changed since the last event; all in a terminal one."),
    ] = ()
    outputs: Annotated[
        dict[str, JsonValue], Field(description="The run's output parameters by name.")
    ] = {}
    truncated: Annotated[
        bool,
        Field(description="Whether steps, their outputs or logs were left out to fit the topic."),
    ] = False
    problem: Annotated[
        Problem | None, Field(description="Why the run was Rejected or Expired.")
    ] = None
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    observed_at: Annotated[AwareDatetime, Field(description="When Sluice saw this state.")]
    sequence: Annotated[
        int,
        Field(
            ge=0,
            description="Grows with every change of the run: the Workflow's resourceVersion, "
            "0 for runs that never became one.",
        ),
    ]

    @property
    def key(self) -> RunKey:
        """Say which run this is about; also the record's key."""
        return RunKey(self.tenant, self.run_id)

    def truncate(self, level: Truncation) -> Self:
        """Return the event without the details of this level; `truncated` says so."""
        changes: dict[str, Any] = {"truncated": True, "steps": ()}
        match level:
            case Truncation.STEP_OUTPUTS:
                changes["steps"] = self._steps_with({"outputs": {}})
            case Truncation.STEP_LOGS:
                changes["steps"] = self._steps_with({"outputs": {}, "logs": {}})
            case Truncation.DETAILS:
                message, progress = (
                    text[:_KEPT_TEXT] if text else None for text in (self.message, self.progress)
                )
                changes |= {"outputs": {}, "message": message, "progress": progress}
        return self.model_copy(update=changes)

    def _steps_with(self, changes: dict[str, Any]) -> tuple[Step, ...]:
        return tuple(step.model_copy(update=changes) for step in self.steps)


def event_id(*parts: str) -> str:
    """Return an event's id, derived from what identifies it, so that every copy has the same."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


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
