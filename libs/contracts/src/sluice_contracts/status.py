"""What became of a run: the value of every record on the status and results topics."""

import hashlib
from enum import Enum, StrEnum, auto
from typing import Annotated, Any, Final, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from sluice_contracts.ids import RunId, RunKey, Tenant
from sluice_contracts.labels import Labels
from sluice_contracts.problems import Problem
from sluice_contracts.requests import CommandType, Priority
from sluice_contracts.steps import Step, StepGroup, WaitingStep

__all__ = [
    "TERMINAL_PHASES",
    "AppliedCommand",
    "Phase",
    "QueueState",
    "StatusEvent",
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
    """The inputs and outputs of the steps."""
    STEP_LOGS = auto()
    """The links to their logs."""
    STEPS = auto()
    """All about the steps and their groups."""
    DETAILS = auto()
    """The run's outputs and what it waits for as well; message and progress keep their first 1,024
    characters."""


_KEPT_TEXT = 1024


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class AppliedCommand(_Model):
    """A command that was applied to the run."""

    type: CommandType
    reason: str | None = None
    requested_by: Annotated[
        str | None, Field(description="Who asked, as far as the gateway knows.")
    ] = None
    applied_at: AwareDatetime


class QueueState(_Model):
    """Where a run stands that is accepted but is not yet a Workflow."""

    position: Annotated[
        int | None,
        Field(ge=1, description="1 for the run that starts next, as far as is known."),
    ] = None
    held_by: Annotated[
        str | None, Field(description="What holds it up, e.g. `forbidden`; null if nothing does.")
    ] = None
    detail: Annotated[str | None, Field(description="The same in a sentence.")] = None
    since: Annotated[AwareDatetime | None, Field(description="Since when it is held up.")] = None
    eta: Annotated[
        AwareDatetime | None,
        Field(
            description="When it starts, at the rate of the last starts; null if none is known, or "
            "if it is paused."
        ),
    ] = None


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
    groups: Annotated[
        tuple[StepGroup, ...],
        Field(description="The groups of steps that changed; all in a terminal event."),
    ] = ()
    waiting_for: Annotated[
        tuple[WaitingStep, ...], Field(description="The suspended steps; `resume` answers them.")
    ] = ()
    outputs: Annotated[
        dict[str, JsonValue], Field(description="The run's output parameters by name.")
    ] = {}
    labels: Annotated[Labels, Field(description="The labels of the request.")] = {}
    priority: Priority = "normal"
    parent: Annotated[RunId | None, Field(description="The run that this one repeats.")] = None
    requested_by: Annotated[
        str | None, Field(description="Who asked for the run; null if nobody was identified.")
    ] = None
    accepted_at: Annotated[
        AwareDatetime | None, Field(description="When the request was appended to its topic.")
    ] = None
    last_command: Annotated[
        AppliedCommand | None, Field(description="The command that was applied last.")
    ] = None
    queue: Annotated[
        QueueState | None,
        Field(description="Before it is a Workflow: its place. Null in records; HTTP fills it in."),
    ] = None
    truncated: Annotated[
        bool,
        Field(description="Whether steps, their outputs or logs were left out to fit the topic."),
    ] = False
    problem: Annotated[
        Problem | None,
        Field(
            description="Why the run was Rejected or Expired, or what stopped its pods: a policy, "
            "an account, an image, the artifact repository."
        ),
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
        values: dict[str, Any] = {"inputs": {}, "outputs": {}}
        changes: dict[str, Any] = {"truncated": True}
        match level:
            case Truncation.STEP_OUTPUTS:
                changes["steps"] = self._steps_with(values)
            case Truncation.STEP_LOGS:
                changes["steps"] = self._steps_with(values | {"logs": {}})
            case Truncation.STEPS:
                changes |= {"steps": (), "groups": ()}
            case Truncation.DETAILS:
                message, progress = (
                    text[:_KEPT_TEXT] if text else None for text in (self.message, self.progress)
                )
                changes |= {"steps": (), "groups": (), "waiting_for": (), "outputs": {}}
                changes |= {"message": message, "progress": progress}
        return self.model_copy(update=changes)

    def _steps_with(self, changes: dict[str, Any]) -> tuple[Step, ...]:
        return tuple(step.model_copy(update=changes) for step in self.steps)


def event_id(*parts: str) -> str:
    """Return an event's id, derived from what identifies it, so that every copy has the same."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
