"""Answers of the HTTP API about dead letters."""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from sluice_contracts.http_lists import ListLinks
from sluice_contracts.ids import RunId, Tenant
from sluice_contracts.problems import Problem, ProblemType

__all__ = [
    "LETTER_ID",
    "DeadLetterBytes",
    "DeadLetterContentDocument",
    "DeadLetterDecision",
    "DeadLetterDocument",
    "DeadLetterHeader",
    "DeadLetterLinks",
    "DeadLetterListDocument",
    "DeadLetterPayload",
    "DeadLetterRun",
    "LetterState",
]

LetterState: TypeAlias = Literal["open", "replayed", "dropped"]

LETTER_ID: Final = r"^([a-z0-9-]{1,63}\.)?[0-9]{1,10}-[0-9]{1,19}$"
"""A door, if it is not the default topics; the partition and the offset."""


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DeadLetterRun(_Document):
    """A run."""

    tenant: Tenant
    id: RunId


class DeadLetterDecision(_Document):
    """Who has replayed or dropped a letter, when and why."""

    by: str
    at: AwareDatetime
    reason: Annotated[str | None, Field(description="Null as well without `payloads:read`.")]
    run: Annotated[
        DeadLetterRun | None, Field(description="What the replay has started or commanded.")
    ]


class DeadLetterLinks(_Document):
    """Where to continue."""

    self: str
    run: Annotated[str | None, Field(description="The run of the replay.")]


class DeadLetterDocument(_Document):
    """A record that can never be valid, without what it holds."""

    id: Annotated[str, Field(pattern=LETTER_ID)]
    state: LetterState
    reason: Annotated[ProblemType, Field(description="The type of its problem.")]
    title: str
    detail: Annotated[str | None, Field(description="Cut; null without `payloads:read`.")]
    tenant: Annotated[Tenant | None, Field(description="Whose it is; null if that is not certain.")]
    run: Annotated[
        DeadLetterRun | None,
        Field(
            description="The run that the record named: only a claim if the reason is "
            "`foreign-tenant` or `unsigned`."
        ),
    ]
    request: Annotated[
        str, Field(description="Where the record stood, as `topic/partition@offset`.")
    ]
    requested_at: Annotated[AwareDatetime, Field(description="When the record was appended.")]
    rejected_at: Annotated[AwareDatetime, Field(description="Its place in the list: newest first.")]
    size: Annotated[int, Field(ge=0, description="Bytes of the value; all of it, if truncated.")]
    truncated: Annotated[bool, Field(description="Whether only the head of the value is kept.")]
    decision: DeadLetterDecision | None
    links: DeadLetterLinks


class DeadLetterBytes(_Document):
    """Bytes of a record: as text if they are UTF-8, otherwise in base64."""

    encoding: Literal["utf-8", "base64"]
    data: str


class DeadLetterHeader(_Document):
    """A header of a record; several may have one name."""

    name: str
    value: DeadLetterBytes


class DeadLetterPayload(_Document):
    """What the record held, as it was received."""

    key: DeadLetterBytes | None
    value: DeadLetterBytes | None
    headers: tuple[DeadLetterHeader, ...]


class DeadLetterContentDocument(DeadLetterDocument):
    """A record that can never be valid, and why."""

    problem: Annotated[
        Problem, Field(description="Without `payloads:read` it has neither detail nor errors.")
    ]
    payload: Annotated[DeadLetterPayload | None, Field(description="This needs `payloads:read`.")]


class DeadLetterListDocument(_Document):
    """A part of a list of dead letters, newest first."""

    dead_letters: tuple[DeadLetterDocument, ...]
    behind: Annotated[
        tuple[str, ...],
        Field(
            description="Doors whose newest letters may be missing, as their topic cannot be read "
            "now; empty text for the default topics."
        ),
    ]
    next_cursor: Annotated[
        str | None, Field(description="Continues the list as `cursor`, on any replica.")
    ]
    links: ListLinks
