"""The shapes of answers, for OpenAPI; tests compare answers with them."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from sluice_contracts.graphs import PlannedGraph
from sluice_contracts.ids import RunId, Tenant
from sluice_contracts.problems import Problem, ProblemType
from sluice_contracts.status import Phase, StatusEvent
from sluice_gateway.services.submission import IdUse

__all__ = [
    "AcceptedRunDocument",
    "AcceptedRunLinks",
    "HttpProblem",
    "Index",
    "PreviewDocument",
    "RunDocument",
    "RunLinks",
    "WorkflowDocument",
    "WorkflowWithGraph",
    "Workflows",
]


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


class HttpProblem(Problem):
    """A problem document (RFC 9457); `about:blank` has no more to say than its HTTP status."""

    type: Annotated[  # type: ignore[assignment] # wider than that of other problems
        ProblemType | Literal["about:blank"], Field(description="Stable URI of the kind.")
    ]


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
