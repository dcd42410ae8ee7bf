"""How dead letters look over HTTP."""

import base64
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from sluice_contracts.dead_letters import DeadLetter
from sluice_contracts.ids import RunId, RunKey, Tenant
from sluice_contracts.problems import Problem, ProblemType, problem
from sluice_gateway.domain.dead_letters import LETTER_ID, Letter, LetterState
from sluice_gateway.domain.redaction import redacted_problem
from sluice_gateway.handlers.lists import ListLinks
from sluice_gateway.handlers.representations import run_path

__all__ = [
    "DeadLetterContentDocument",
    "DeadLetterDocument",
    "DeadLetterListDocument",
    "content_document",
    "letter_document",
    "letter_path",
]


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


def letter_path(letter: Letter) -> str:
    """Return the path of a dead letter; its id needs no escaping."""
    return f"/v1/dead-letters/{letter.id}"


def letter_document(letter: Letter, *, payloads: bool) -> DeadLetterDocument:
    """Show a letter; without `payloads` it has no text that may repeat a value."""
    run = _run_of_replay(letter)
    decision = letter.decision
    return DeadLetterDocument(
        id=str(letter.id),
        state=letter.state,
        reason=letter.reason,
        title=problem(letter.reason, "").title,
        detail=letter.detail if payloads else None,
        tenant=letter.tenant,
        run=_run(letter.run),
        request=str(letter.received),
        requested_at=_moment(letter.received_ms),
        rejected_at=_moment(letter.at_ms),
        size=letter.size,
        truncated=letter.truncated,
        decision=None
        if decision is None
        else DeadLetterDecision(
            by=decision.by,
            at=decision.at,
            reason=decision.reason if payloads else None,
            run=_run(run),
        ),
        links=DeadLetterLinks(self=letter_path(letter), run=run_path(run) if run else None),
    )


def content_document(
    letter: Letter, content: DeadLetter, *, payloads: bool
) -> DeadLetterContentDocument:
    """Show a letter with its problem and, if `payloads`, what it holds."""
    received = content.received
    payload = DeadLetterPayload(
        key=_bytes(received.key),
        value=_bytes(received.value),
        headers=tuple(
            DeadLetterHeader(name=name, value=_shown(value)) for name, value in received.headers
        ),
    )
    return DeadLetterContentDocument(
        **dict(letter_document(letter, payloads=payloads)),
        problem=content.problem if payloads else redacted_problem(content.problem),
        payload=payload if payloads else None,
    )


def _run_of_replay(letter: Letter) -> RunKey | None:
    if letter.decision is None or letter.decision.run is None:
        return None
    tenant, _, run_id = letter.decision.run.partition("/")
    return RunKey(tenant, run_id)


def _run(key: RunKey | None) -> DeadLetterRun | None:
    return None if key is None else DeadLetterRun(tenant=key.tenant, id=key.run_id)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _bytes(data: bytes | None) -> DeadLetterBytes | None:
    return None if data is None else _shown(data)


def _shown(data: bytes) -> DeadLetterBytes:
    try:
        return DeadLetterBytes(encoding="utf-8", data=data.decode())
    except UnicodeDecodeError:
        return DeadLetterBytes(encoding="base64", data=base64.b64encode(data).decode())
