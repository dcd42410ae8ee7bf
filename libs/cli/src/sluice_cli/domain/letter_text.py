"""What a person reads of a dead letter."""

from typing import Final

from sluice_contracts.http_dead_letters import DeadLetterBytes, DeadLetterContentDocument

__all__ = ["letter_lines"]

_WIDTH: Final = 11


def letter_lines(letter: DeadLetterContentDocument) -> list[str]:
    """Return a dead letter, with its problem and what it holds."""
    decision = letter.decision
    said = {
        "Letter": f"{letter.id}, {letter.state}",
        "Tenant": letter.tenant or "not certain",
        "Run": f"{letter.run.tenant}/{letter.run.id}" if letter.run else "",
        "Record": letter.request,
        "Rejected": letter.rejected_at.isoformat(),
        "Problem": f"{letter.problem.title}: {letter.problem.detail}",
        "Decision": f"{letter.state} by {decision.by}" if decision else "",
        "Reason": (decision.reason or "") if decision else "",
    }
    lines = [f"{name + ':':<{_WIDTH}}{text}" for name, text in said.items() if text]
    lines += [f"{'':<{_WIDTH}}{each.pointer}: {each.detail}" for each in letter.problem.errors]
    payload = letter.payload
    if payload is None:
        return [*lines, "What it holds is not shown: that needs the scope payloads:read."]
    if payload.key is not None:
        lines.append(f"{'Key:':<{_WIDTH}}{_text(payload.key)}")
    lines += [f"{'Header:':<{_WIDTH}}{each.name}: {_text(each.value)}" for each in payload.headers]
    return [*lines, "", _text(payload.value) if payload.value else "(no value)"]


def _text(content: DeadLetterBytes) -> str:
    return content.data if content.encoding == "utf-8" else f"(base64) {content.data}"
