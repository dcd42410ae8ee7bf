"""The marks that Sluice leaves on the Workflows it creates."""

from typing import Final

__all__ = [
    "APPLIED_COMMANDS",
    "ATTEMPT",
    "FINALIZER",
    "FINGERPRINT",
    "MANAGED_BY",
    "MANAGED_BY_VALUE",
    "PUBLISHED",
    "REQUEST",
    "RUN_ID",
    "SELECTOR",
    "TENANT",
    "TRACEPARENT",
    "WORKFLOW",
]

# Labels: what lists and watches select by.
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGED_BY_VALUE: Final = "sluice"
TENANT: Final = "sluice.dev/tenant"
WORKFLOW: Final = "sluice.dev/workflow"
SELECTOR: Final = f"{MANAGED_BY}={MANAGED_BY_VALUE}"

# Annotations: what must survive with the object, whatever its length.
RUN_ID: Final = "sluice.dev/run-id"
FINGERPRINT: Final = "sluice.dev/fingerprint"
REQUEST: Final = "sluice.dev/request"
"""Where the request stands, `topic/partition@offset`."""
TRACEPARENT: Final = "sluice.dev/traceparent"
ATTEMPT: Final = "sluice.dev/attempt"
"""Set by the status-watcher when a finished Workflow was reopened; 1 if absent."""
PUBLISHED: Final = "sluice.dev/published"
"""Set by the status-watcher: `attempt/phase@finishedAt` once the terminal event is acknowledged,
and before that the claim of who is about to tell it, `telling … as SEQUENCE by TELLER`."""
APPLIED_COMMANDS: Final = "sluice.dev/applied-commands"
"""JSON object, `topic/partition` to the offset of the last command applied from there, and
`topic/partition appended` to the time that Kafka gave it (epoch milliseconds)."""

FINALIZER: Final = "sluice.dev/outcome-published"
"""Keeps the object until its terminal event is acknowledged on Kafka."""
