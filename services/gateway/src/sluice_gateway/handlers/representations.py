"""How runs look over HTTP."""

from datetime import datetime

from pydantic import JsonValue

from sluice_contracts.http_documents import IdUse
from sluice_contracts.ids import DEFAULT_TENANT, RunKey, workflow_name
from sluice_contracts.requests import Command, RunRequest
from sluice_contracts.status import Phase
from sluice_gateway.domain.models import RunState
from sluice_gateway.domain.redaction import redacted
from sluice_gateway.services.commands import WrittenCommand
from sluice_gateway.services.submission import Preview, Started

__all__ = [
    "accepted_document",
    "command_document",
    "preview_document",
    "run_path",
    "state_document",
]


def run_path(key: RunKey) -> str:
    """Return the path of a run; ids and tenants need no escaping."""
    return f"/v1/runs/{key.run_id}{_query(key)}"


def accepted_document(run: Started, *, watch_token: str | None) -> dict[str, JsonValue]:
    """Show a run whose request was just acknowledged; the token shows it to others."""
    watch = {} if watch_token is None else {"watch": _watch_path(run.key, watch_token)}
    return {
        "id": run.key.run_id,
        "tenant": run.key.tenant,
        "workflow": run.workflow,
        "workflow_name": workflow_name(run.key),
        "phase": Phase.ACCEPTED.value,
        "links": {**links(run.key), **watch},
    }


def preview_document(request: RunRequest, preview: Preview) -> dict[str, JsonValue]:
    """Show what would become of a request."""
    key, state = preview.key, preview.state
    return {
        "id": key.run_id if key else None,
        "tenant": request.tenant,
        "workflow": request.workflow,
        "workflow_name": workflow_name(key) if key else None,
        "id_use": preview.id_use,
        "phase": state.phase.value if state else None,
        "links": links(key) if key and preview.id_use is not IdUse.FREE else None,
    }


def command_document(command: Command, written: WrittenCommand) -> dict[str, JsonValue]:
    """Show a command that was just acknowledged."""
    return {
        "id": command.id,
        "tenant": command.tenant,
        "command": command.type,
        "request": str(written.position),
        "phase": written.phase,
        "links": links(command.key),
    }


def state_document(run: RunState, *, payloads: bool) -> dict[str, JsonValue]:
    """Show the run's latest status event with all its steps, when it was accepted, and links.

    Before the first event it looks the same, as phase Accepted with sequence -1. Without `payloads`
    it has nothing that may be a value of the run.
    """
    accepted_at = _timestamp(run.accepted_at) if run.accepted_at else None
    event = run.event if run.event is not None else _no_event(run, observed_at=accepted_at)
    document = {
        "id": run.key.run_id,
        **event,
        "accepted_at": accepted_at,
        "queue": run.queue.model_dump(mode="json") if run.queue else None,
        "parameters": None if run.parameters is None else dict(run.parameters),
        "links": links(run.key),
    }
    return document if payloads else redacted(document)


def _no_event(run: RunState, *, observed_at: str | None) -> dict[str, JsonValue]:
    return {
        "event_id": None,
        "run_id": run.key.run_id,
        "tenant": run.key.tenant,
        "workflow": run.workflow,
        "workflow_name": workflow_name(run.key),
        "namespace": None,
        "uid": None,
        "attempt": 1,
        "phase": Phase.ACCEPTED.value,
        "terminal": False,
        "progress": None,
        "message": None,
        "steps": [],
        "groups": [],
        "waiting_for": [],
        "outputs": {},
        "labels": dict(run.labels),
        "priority": run.priority,
        "parent": run.parent,
        "requested_by": run.requested_by,
        "last_command": None,
        "queue": None,
        "truncated": False,
        "problem": None,
        "started_at": None,
        "finished_at": None,
        "observed_at": observed_at,
        "sequence": -1,
    }


def _timestamp(moment: datetime) -> str:
    """Write a moment in UTC as status events do (RFC 3339)."""
    return moment.isoformat().replace("+00:00", "Z")


def links(key: RunKey) -> dict[str, JsonValue]:
    """Return where to continue with a run."""
    return {"self": run_path(key), "events": f"/v1/runs/{key.run_id}/events{_query(key)}"}


def _watch_path(key: RunKey, token: str) -> str:
    tenant = "" if key.tenant == DEFAULT_TENANT else f"tenant={key.tenant}&"
    return f"/v1/runs/{key.run_id}/events?{tenant}watch={token}"


def _query(key: RunKey) -> str:
    return "" if key.tenant == DEFAULT_TENANT else f"?tenant={key.tenant}"
