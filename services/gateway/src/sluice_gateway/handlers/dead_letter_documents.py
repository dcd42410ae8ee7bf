"""How dead letters look over HTTP."""

import base64
from datetime import UTC, datetime

from sluice_contracts.dead_letters import DeadLetter
from sluice_contracts.http_dead_letters import (
    DeadLetterBytes,
    DeadLetterContentDocument,
    DeadLetterDecision,
    DeadLetterDocument,
    DeadLetterHeader,
    DeadLetterLinks,
    DeadLetterPayload,
    DeadLetterRun,
)
from sluice_contracts.ids import RunKey
from sluice_contracts.problems import problem
from sluice_gateway.domain.dead_letters import Letter
from sluice_gateway.domain.redaction import redacted_problem
from sluice_gateway.handlers.representations import run_path

__all__ = ["content_document", "letter_document", "letter_path"]


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
