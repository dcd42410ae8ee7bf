"""When a finished Workflow is to be deleted."""

from datetime import datetime, timedelta
from typing import Final

from sluice_engine.documents import Object

__all__ = ["expiry"]

_FIELD: Final = {"Succeeded": "secondsAfterSuccess"}


def expiry(workflow: Object) -> datetime | None:
    """Return when `ttlStrategy` deletes a Workflow; None if never, or not yet known."""
    status = workflow.get("status") or {}
    spec = status.get("storedWorkflowTemplateSpec") or workflow["spec"]
    strategy = workflow["spec"].get("ttlStrategy") or spec.get("ttlStrategy") or {}
    seconds = strategy.get(_FIELD.get(status.get("phase", ""), "secondsAfterFailure"))
    if seconds is None:
        seconds = strategy.get("secondsAfterCompletion")
    if seconds is None or not status.get("finishedAt"):
        return None
    return datetime.fromisoformat(status["finishedAt"]) + timedelta(seconds=float(seconds))
