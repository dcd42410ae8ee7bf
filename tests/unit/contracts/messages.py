"""One message of each kind, and records as readable text."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.notices import RefusalNotice
from sluice_contracts.problems import FieldError, ProblemType, problem
from sluice_contracts.records import IncomingRecord, OutgoingRecord, Position
from sluice_contracts.status import Phase, StatusEvent, event_id
from sluice_contracts.status_codec import PublishedEvent
from sluice_contracts.steps import Step

KEY = RunKey("default", "order-4711")
UID = "6f1c0f0e-8f5e-4d3b-9a41-0d1f6a3e2b7c"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
FINGERPRINT = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
MOMENT = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)
REJECTION = problem(
    ProblemType.INVALID_PARAMETERS,
    "The parameters do not fit the workflow map-reduce.",
    errors=(FieldError(pointer="/parameters/workers", detail="Input should be at most 50"),),
)

_NO_WORKFLOW = {
    Phase.REJECTED: REJECTION,
    Phase.EXPIRED: problem(ProblemType.EXPIRED, "It expired at 2026-12-01T09:00:00+00:00."),
}


def step(number: int, phase: str = "Succeeded", **changes: Any) -> Step:
    """Return a finished step."""
    return Step(
        id=f"{workflow_name(KEY)}-{number}",
        name=f"count({number})",
        template="count",
        type="Pod",
        phase=phase,
        started_at=MOMENT,
        finished_at=MOMENT + timedelta(seconds=3),
        outputs={"partial": '{"a": 2, "ü": 1}'},
        logs={"main": f"s3://artifacts/argo/{workflow_name(KEY)}/{number}/main.log"},
    ).model_copy(update=changes)


def status_event(phase: Phase, **changes: Any) -> StatusEvent:
    """Return an event of the run in this phase."""
    common: dict[str, Any] = {
        "run_id": KEY.run_id,
        "tenant": KEY.tenant,
        "workflow": "map-reduce",
        "workflow_name": workflow_name(KEY),
        "phase": phase,
        "terminal": phase.terminal,
        "observed_at": MOMENT + timedelta(seconds=5),
    }
    if phase in _NO_WORKFLOW:
        own: dict[str, Any] = {
            "event_id": event_id(str(KEY), phase),
            "problem": _NO_WORKFLOW[phase],
            "sequence": 0,
        }
    else:
        own = {
            "event_id": event_id(UID, phase, "1"),
            "namespace": "argo",
            "uid": UID,
            "sequence": 12345,
            **_DETAILS.get(phase, {}),
        }
    return StatusEvent.model_validate(common | own | changes)


_STARTED: dict[str, Any] = {"started_at": MOMENT}
_FINISHED: dict[str, Any] = _STARTED | {"finished_at": MOMENT + timedelta(seconds=4)}
_DETAILS: dict[Phase, dict[str, Any]] = {
    Phase.PENDING: _STARTED | {"progress": "0/5"},
    Phase.RUNNING: _STARTED
    | {"progress": "3/5", "steps": (step(0), step(1, "Running", finished_at=None, outputs={}))},
    Phase.SUSPENDED: _STARTED | {"progress": "1/2"},
    Phase.SUCCEEDED: _FINISHED
    | {"progress": "5/5", "steps": (step(0),), "outputs": {"counts": '{"a":2}', "total": "2"}},
    Phase.FAILED: _FINISHED | {"progress": "4/5", "message": "child 'count(1)' failed"},
    Phase.ERROR: _FINISHED | {"message": "no such template"},
    Phase.DELETED: _STARTED | {"progress": "3/5"},
}


def published(phase: Phase, **changes: Any) -> PublishedEvent:
    """Return the event with the metadata of its record."""
    return PublishedEvent(
        event=status_event(phase, **changes), fingerprint=FINGERPRINT, traceparent=TRACEPARENT
    )


def refusal() -> RefusalNotice:
    """Return the notice about a request whose id belongs to another run."""
    position = Position("sluice.requests", 3, 42)
    return RefusalNotice(
        event_id=event_id("refused", str(position)),
        run_id=KEY.run_id,
        tenant=KEY.tenant,
        request=str(position),
        problem=problem(ProblemType.ID_CONFLICT, "The id order-4711 belongs to another run."),
        observed_at=MOMENT,
    )


def received(written: OutgoingRecord, *, offset: int = 0) -> IncomingRecord:
    """Return the record as a reader gets it."""
    return IncomingRecord(
        position=Position("sluice.status", 0, offset),
        timestamp_ms=1_796_117_400_000,
        key=written.key,
        value=written.value,
        headers=written.headers,
    )


def on_paper(record: OutgoingRecord) -> str:
    """Return a record as readable text: key, headers, and the value, indented if it is JSON."""
    lines = [f"key: {_text(record.key)}"]
    lines += [f"{name}: {_text(value)}" for name, value in record.headers]
    return "\n".join([*lines, "", _value(record.value), ""])


def _value(value: bytes | None) -> str:
    try:
        document = json.loads(value or b"")
    except ValueError:
        return _text(value)
    return json.dumps(document, indent=2, ensure_ascii=False)


def _text(data: bytes | None) -> str:
    if data is None:
        return "(null)"
    text = data.decode("utf-8", "backslashreplace")
    return text if text.isprintable() else repr(text)
