"""What a person reads of a run beside its steps."""

import json
from datetime import datetime
from shlex import quote
from typing import Final

from pydantic import JsonValue

from sluice_cli.domain.moments import age, duration
from sluice_client import Event
from sluice_contracts.ids import DEFAULT_TENANT
from sluice_contracts.status import Phase, QueueState, StatusEvent
from sluice_contracts.steps import WaitingStep

__all__ = [
    "earlier_line",
    "event_line",
    "headline",
    "outcome_lines",
    "output_text",
    "starts_in",
    "state_lines",
    "typed",
    "waits",
]

_WIDTH: Final = 14
_PAUSED: Final = "paused"


def state_lines(state: StatusEvent, *, now: datetime) -> list[str]:
    """Return what there is to say of a run beside its steps, a line for each."""
    said = {
        "Run": f"{state.run_id} of tenant {state.tenant}",
        "Workflow": state.workflow,
        "Phase": _phase(state),
        "Accepted": _ago(state.accepted_at, now=now),
        "Took": duration((state.finished_at or now) - state.started_at) if state.started_at else "",
        "Labels": " ".join(f"{name}={value}" for name, value in state.labels.items()),
        "Parent": state.parent,
        "Message": state.message,
        "Last command": _command(state),
        "Waits": waits(state, now=now),
        "Problem": f"{state.problem.title}: {state.problem.detail}" if state.problem else "",
    }
    lines = [f"{name + ':':<{_WIDTH}}{text}" for name, text in said.items() if text]
    if state.problem:
        lines += [f"{'':<{_WIDTH}}{each.pointer}: {each.detail}" for each in state.problem.errors]
    return lines


def _question(step: WaitingStep) -> str:
    """Return a step that waits, with what may be answered."""
    properties = (step.answer or {}).get("properties")
    members = properties if isinstance(properties, dict) else {}
    values = ", ".join(f"{name}={_choices(schema)}" for name, schema in members.items())
    message = f" ({step.message})" if step.message else ""
    return f"{step.name}{message}{f' [{values}]' if values else ''}"


def _choices(schema: JsonValue) -> str:
    match schema:
        case {"enum": list(values)}:
            return "|".join(map(str, values))
    return "..."


def _phase(state: StatusEvent) -> str:
    attempt = f", attempt {state.attempt}" if state.attempt > 1 else ""
    return f"{state.phase}{f' {state.progress}' if state.progress else ''}{attempt}"


def _command(state: StatusEvent) -> str:
    command = state.last_command
    if command is None:
        return ""
    by = f" by {command.requested_by}" if command.requested_by else ""
    return f"{command.type}{by}{f': {command.reason}' if command.reason else ''}"


def waits(state: StatusEvent, *, now: datetime) -> str:
    """Return what the run waits for; empty if for nothing."""
    if state.waiting_for:
        steps = "; ".join(map(_question, state.waiting_for))
        return f"for an answer to {steps}: {typed('approve', state.run_id, state.tenant)}"
    queue = state.queue
    if queue is None or state.terminal:
        return ""
    place = f"place {queue.position}" if queue.position else "for its place"
    eta = starts_in(queue, now=now)
    held = queue.detail or queue.held_by
    return f"{place}{f', starts in {eta}' if eta else ''}{f': {held}' if held else ''}"


def _ago(then: datetime | None, *, now: datetime) -> str:
    return f"{age(then, now=now)} ago" if then else ""


def starts_in(queue: QueueState, *, now: datetime) -> str:
    """Return how long it is until the start; empty if that is not known."""
    if queue.eta is None or queue.held_by == _PAUSED:
        # Nobody knows when a pause ends.
        return ""
    return duration(queue.eta - now)


def typed(command: str, run_id: str, tenant: str, *, step: str | None = None) -> str:
    """Return a command about a run, or about a step of it, as it is typed."""
    about = run_id if step is None else f"{run_id} {quote(step)}"
    return f"sluice {command} {about}{'' if tenant == DEFAULT_TENANT else f' --tenant {tenant}'}"


def earlier_line(run_id: str, tenant: str, *, found: StatusEvent | None) -> str:
    """Say that a start has found the run of its id, and how that is; None if it may not be read."""
    known = f"Run {run_id!r} exists already"
    if found is None:
        return f"{known}; nothing was started."
    if found.terminal:
        shown = typed("status", run_id, tenant)
        return f"{known}, and has ended as {found.phase}; nothing was started. Read it: {shown}"
    watched = typed("watch", run_id, tenant)
    return f"{known}, and is {found.phase}; nothing was started. Watch it: {watched}"


def headline(state: StatusEvent, *, now: datetime) -> str:
    """Return the state of a run in one line."""
    took = duration((state.finished_at or now) - state.started_at) if state.started_at else ""
    parts = [state.run_id, state.workflow or "", _phase(state), took, waits(state, now=now)]
    return "  ".join(filter(None, parts))


def event_line(event: Event, *, now: datetime) -> str:
    """Return an event of any run in one line."""
    state = event.state
    # A place in the queue was seen by nobody: it is what the gateway says now.
    seen = (now if event.place is None else state.observed_at).astimezone()
    owner = "" if state.tenant == DEFAULT_TENANT else f"{state.tenant}/"
    return f"{seen:%H:%M:%S}  {owner}{headline(state, now=now)}"


def outcome_lines(state: StatusEvent, *, now: datetime) -> list[str]:
    """Return what a run has come to: its outputs, or why there are none."""
    if state.phase is not Phase.SUCCEEDED:
        return state_lines(state, now=now)
    return [f"{name} = {output_text(value)}" for name, value in state.outputs.items()]


def output_text(value: JsonValue) -> str:
    """Return an output as it is, if it is a text; else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
