"""When Argo's controller deletes the pods of an attempt: some time after their end, by their names.

A step that runs again has a pod of the same name, which is deleted as well if it is there by then
(v4.0 workflow/controller/pod_cleanup.go and pod/queue.go). A `retry` must come after that.
"""

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from sluice_dispatcher.domain.command_nodes import Node
from sluice_dispatcher.domain.models import Manifest

__all__ = ["deletion_delay"]

# What the controller's configuration has by default.
_DEFAULT: Final = timedelta(seconds=5)
# From the end as it is written to when the controller begins to count the delay: 4 s were seen.
_LAG: Final = timedelta(seconds=10)
# With a longer delay a retry does not wait for all of it.
_LONGEST: Final = timedelta(minutes=1)
# https://pkg.go.dev/time#ParseDuration
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?)(ms|h|m|s)")
_UNITS: Final = {
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}


def deletion_delay(workflow: Manifest, nodes: Iterable[Node]) -> timedelta:
    """Return how long after the end Argo may delete pods of these nodes; 0 if it deletes none.

    `workflow` has ended, and `nodes` are of pods. Of a long delay only a minute counts.
    """
    pod_gc = _pod_gc(workflow)
    if not any(_is_deleted(node, pod_gc, workflow["status"]) for node in nodes):
        return timedelta(0)
    return min(_delay(str(pod_gc.get("deleteDelayDuration") or "")), _LONGEST) + _LAG


def _pod_gc(workflow: Manifest) -> dict[str, Any]:
    stored = workflow["status"].get("storedWorkflowTemplateSpec") or {}
    # Argo has merged the Workflow's own into that of its template.
    return stored.get("podGC") or workflow["spec"].get("podGC") or {}


def _is_deleted(node: Node, pod_gc: dict[str, Any], status: dict[str, Any]) -> bool:
    match pod_gc.get("strategy"):
        case "OnPodCompletion" | "OnWorkflowCompletion":
            return True
        case "OnPodSuccess":
            return bool(node.get("phase") == "Succeeded")
        case "OnWorkflowSuccess":
            return bool(status.get("phase") == "Succeeded")
    return False


def _delay(text: str) -> timedelta:
    """Return what Argo reads, as seconds or a duration of Go; what neither is, it ignores."""
    if text.isascii() and text.isdecimal():
        return timedelta(seconds=int(text[:9]))
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return _DEFAULT
    return sum((float(number[:9]) * _UNITS[unit] for number, unit in parts), timedelta(0))
