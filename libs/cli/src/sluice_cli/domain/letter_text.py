"""What a person reads of a dead letter."""

from collections.abc import Mapping
from typing import Final

from sluice_cli.domain.state_text import typed
from sluice_contracts.http_dead_letters import (
    DeadLetterBytes,
    DeadLetterContentDocument,
    DeadLetterDecision,
    LetterState,
)

__all__ = ["letter_lines"]

_WIDTH: Final = 11


def letter_lines(letter: DeadLetterContentDocument) -> list[str]:
    """Return a dead letter, with its problem and what it holds."""
    said = {
        "Letter": f"{letter.id}, {letter.state}",
        "Tenant": letter.tenant or "not certain",
        "Run": f"{letter.run.tenant}/{letter.run.id}" if letter.run else "",
        "Record": letter.request,
        "Rejected": letter.rejected_at.isoformat(),
        "Problem": f"{letter.problem.title}: {letter.problem.detail}",
    }
    lines = _named(said)
    lines += [f"{'':<{_WIDTH}}{each.pointer}: {each.detail}" for each in letter.problem.errors]
    if letter.decision is not None:
        lines += _named(_decided(letter.decision, state=letter.state))
    payload = letter.payload
    if payload is None:
        return [*lines, "What it holds is not shown: that needs the scope payloads:read."]
    if payload.key is not None:
        lines.append(f"{'Key:':<{_WIDTH}}{_text(payload.key)}")
    lines += [f"{'Header:':<{_WIDTH}}{each.name}: {_text(each.value)}" for each in payload.headers]
    return [*lines, "", _text(payload.value) if payload.value else "(no value)"]


def _decided(decision: DeadLetterDecision, *, state: LetterState) -> dict[str, str]:
    run = decision.run
    return {
        "Decision": f"{state} by {decision.by} at {decision.at.isoformat()}",
        "Its run": f"{run.tenant}/{run.id}: {typed('watch', run.id, run.tenant)}" if run else "",
        "Reason": decision.reason or "",
    }


def _named(said: Mapping[str, str]) -> list[str]:
    return [f"{name + ':':<{_WIDTH}}{text}" for name, text in said.items() if text]


def _text(content: DeadLetterBytes) -> str:
    return content.data if content.encoding == "utf-8" else f"(base64) {content.data}"
