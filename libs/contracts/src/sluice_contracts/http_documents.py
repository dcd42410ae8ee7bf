"""The shapes of the answers of the HTTP API: the gateway describes them, clients read them.

A client reads them with `extra="ignore"`: later versions add members.
"""

from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from sluice_contracts.controls import ControlState
from sluice_contracts.graphs import PlannedGraph
from sluice_contracts.ids import RunId, Tenant
from sluice_contracts.problems import Problem, ProblemType
from sluice_contracts.requests import CommandType, Rfc3339
from sluice_contracts.status import Phase, StatusEvent

__all__ = [
    "AcceptedCommandDocument",
    "AcceptedControlDocument",
    "AcceptedRunDocument",
    "AcceptedRunLinks",
    "ControlDocument",
    "ControlList",
    "HttpProblem",
    "IdUse",
    "Index",
    "PreviewDocument",
    "RunDocument",
    "RunLinks",
    "WorkflowDocument",
    "WorkflowWithGraph",
    "Workflows",
]


# Also those of proxies: https://www.rfc-editor.org/rfc/rfc9110#section-15
_REPEATABLE_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RunLinks(_Document):
    """Where to continue with a run."""

    self: Annotated[str, Field(description="The run's latest state.")]
    events: Annotated[str, Field(description="Its events as they happen.")]


class AcceptedRunLinks(RunLinks):
    """Where to continue with a run that was just accepted."""

    watch: Annotated[
        str | None,
        Field(
            description="Its events for anybody who has this link, until it expires. The state and "
            "the outcome of the run take the same `watch`. Missing unless the gateway makes links."
        ),
    ] = None


class AcceptedRunDocument(_Document):
    """A run whose request was just acknowledged by Kafka."""

    id: RunId
    tenant: Tenant
    workflow: Annotated[str, Field(description="The catalogue entry.")]
    workflow_name: Annotated[str, Field(description="Name that the Workflow will have.")]
    phase: Literal[Phase.ACCEPTED]
    links: AcceptedRunLinks


class IdUse(StrEnum):
    """What an id has been used for."""

    FREE = "free"
    """For nothing: a request with this id starts a run."""
    SAME_CONTENT = "same-content"
    """For the same content: a request with this id is that run."""
    OTHER_CONTENT = "other-content"
    """For other content: a request with this id is refused."""


class PreviewDocument(_Document):
    """What would become of a request; nothing was written."""

    id: Annotated[RunId | None, Field(description="Null if a new id would be made.")]
    tenant: Tenant
    workflow: Annotated[str, Field(description="The catalogue entry.")]
    workflow_name: Annotated[str | None, Field(description="Name of the Workflow; null with `id`.")]
    id_use: Annotated[
        IdUse | None,
        Field(
            description="`free`: it would start a run. `same-content`: it is the run of this id. "
            "`other-content`: it would be refused."
        ),
    ]
    phase: Annotated[Phase | None, Field(description="Of the run that has the id.")]
    links: RunLinks | None


class RunDocument(StatusEvent):
    """The latest state of a run: its latest status event with all steps, and more.

    Before the first event, `phase` is Accepted, `sequence` is -1 and `event_id` is null.
    """

    id: RunId
    event_id: Annotated[  # type: ignore[assignment] # wider than that of an event
        str | None, Field(description="The latest event; null before the first one.")
    ]
    observed_at: Annotated[  # type: ignore[assignment] # wider than that of an event
        AwareDatetime | None, Field(description="When Sluice saw this state.")
    ]
    sequence: Annotated[
        int, Field(ge=-1, description="Grows with every change of the run; -1 before its events.")
    ]
    parameters: Annotated[
        dict[str, JsonValue] | None,
        Field(description="The request's; null if they are private, or no longer known."),
    ]
    links: RunLinks


class WorkflowLinks(_Document):
    """Where to find an entry."""

    self: Annotated[str, Field(description="This entry alone.")]


class WorkflowDocument(_Document):
    """An entry of the catalogue."""

    name: str
    description: str
    parameters: Annotated[
        dict[str, JsonValue], Field(description="JSON Schema of a request's `parameters`.")
    ]
    links: WorkflowLinks


class WorkflowWithGraph(WorkflowDocument):
    """An entry of the catalogue, with what its runs are planned to do."""

    graph: Annotated[
        PlannedGraph | None, Field(description="The steps of a run; null if they are not known.")
    ]


class Workflows(_Document):
    """The catalogue."""

    workflows: tuple[WorkflowDocument, ...]


def _known(problem_type: object) -> object:
    """Read a type of a later release as `about:blank`: its HTTP status says what to do."""
    unknown = isinstance(problem_type, str) and problem_type not in set(ProblemType)
    return "about:blank" if unknown else problem_type


class HttpProblem(Problem):
    """A problem document (RFC 9457); `about:blank` has no more to say than its HTTP status."""

    type: Annotated[  # type: ignore[assignment] # wider than that of other problems
        ProblemType | Literal["about:blank"],
        BeforeValidator(_known),
        Field(description="Stable URI of the kind."),
    ]

    @property
    def repeatable(self) -> bool:
        """Whether the same request, with the same id, may be carried out a little later."""
        if isinstance(self.type, ProblemType):
            return self.type.repeatable
        return self.status in _REPEATABLE_STATUSES

    @property
    def wrote_nothing(self) -> bool:
        """Whether it is certain that the request had no effect."""
        if isinstance(self.type, ProblemType):
            return self.type.wrote_nothing
        # 408 and 429 come before the request is carried out. What is from 500 on may be a proxy's.
        return self.status < HTTPStatus.INTERNAL_SERVER_ERROR


class IndexLinks(_Document):
    """Where to start."""

    workflows: Annotated[str, Field(description="The catalogue.")]
    docs: Annotated[str, Field(description="A page about this API, for people.")]
    openapi: Annotated[str, Field(description="The same for programs.")]
    asyncapi: Annotated[str, Field(description="The Kafka topics, for programs.")]
    sign_in: Annotated[
        str | None,
        Field(description="Where a browser signs in, with `?return_to=`; null if it cannot."),
    ]


class Index(_Document):
    """A greeting."""

    message: str
    links: IndexLinks


class AcceptedCommandDocument(_Document):
    """A command that Kafka has acknowledged."""

    id: RunId
    tenant: Tenant
    command: CommandType
    request: Annotated[
        str, Field(description="Where its record stands, as `topic/partition@offset`.")
    ]
    phase: Annotated[
        Phase | None,
        Field(
            description="In which the run was seen last before; null if it is not known. If the "
            "run has ended, the command changes nothing, unless it is `retry`."
        ),
    ] = None
    links: RunLinks


class ControlDocument(_Document):
    """A control of a tenant or a workflow."""

    kind: Literal["tenant", "workflow"]
    name: str
    state: ControlState
    reason: str | None
    by: str | None
    at: Rfc3339 | None


class AcceptedControlDocument(ControlDocument):
    """A control that Kafka has acknowledged."""

    request: Annotated[
        str, Field(description="Where its record stands, as `topic/partition@offset`.")
    ]


class ControlList(_Document):
    """The controls that are in force; what is not named is running."""

    controls: tuple[ControlDocument, ...]
