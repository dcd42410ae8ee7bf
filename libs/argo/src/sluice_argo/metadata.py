"""The labels, annotations and the finalizer of the Workflows that Sluice creates."""

from typing import Final

__all__ = [
    "ACCEPTED_AT",
    "APPLIED_COMMANDS",
    "ATTEMPT",
    "COMPLETED",
    "FINALIZER",
    "FINGERPRINT",
    "INSTANCE_ID",
    "LABELS",
    "LAST_COMMAND",
    "MANAGED_BY",
    "MANAGED_BY_VALUE",
    "NOT_REOPENED",
    "OUTCOME_CLAIM",
    "PARENT",
    "PRIORITY",
    "PRIVATE_PARAMETERS",
    "PUBLISHED",
    "REQUEST",
    "REQUESTED_BY",
    "RUN_ID",
    "SELECTOR",
    "SLOT",
    "TENANT",
    "TRACEPARENT",
    "WORKFLOW",
]

# Labels: lists and watches select by them.
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGED_BY_VALUE: Final = "sluice"
TENANT: Final = "sluice.dev/tenant"
WORKFLOW: Final = "sluice.dev/workflow"
COMPLETED: Final = "workflows.argoproj.io/completed"
"""Argo's own: `true` once a Workflow has finished, and absent after it was reopened."""
INSTANCE_ID: Final = "workflows.argoproj.io/controller-instanceid"
"""Argo's own: the controller of this instance id alone takes the Workflow on."""
SELECTOR: Final = f"{MANAGED_BY}={MANAGED_BY_VALUE}"

# Annotations: values of any length that live as long as the object.
RUN_ID: Final = "sluice.dev/run-id"
FINGERPRINT: Final = "sluice.dev/fingerprint"
REQUEST: Final = "sluice.dev/request"
"""The position of the request, `topic/partition@offset`."""
TRACEPARENT: Final = "sluice.dev/traceparent"
# The rest of the request, for the events about the run: see `sluice_argo.request_facts`.
LABELS: Final = "sluice.dev/labels"
PRIORITY: Final = "sluice.dev/priority"
PARENT: Final = "sluice.dev/parent"
REQUESTED_BY: Final = "sluice.dev/requested-by"
ACCEPTED_AT: Final = "sluice.dev/accepted-at"
PRIVATE_PARAMETERS: Final = "sluice.dev/private-parameters"
LAST_COMMAND: Final = "sluice.dev/last-command"
SLOT: Final = "sluice.dev/slot"
"""The name of the Lease that says which runs of one concurrency key may be live."""
NOT_REOPENED: Final = "sluice.dev/not-reopened"
"""The resourceVersion on which a refused retry insisted. The object has another one since, so no
late delivery of that retry can reopen it."""
ATTEMPT: Final = "sluice.dev/attempt"
"""Set by the status-watcher when a finished Workflow was reopened; 1 if absent."""
OUTCOME_CLAIM: Final = "sluice.dev/outcome-claim"
"""Set by the status-watcher before it publishes a terminal event; the patch that adds the mark
removes it. See `sluice_argo.outcomes.encode_claim`."""
PUBLISHED: Final = "sluice.dev/published"
"""The mark: set by the status-watcher once the terminal event is acknowledged, see
`sluice_argo.outcomes.encode_outcome`."""
APPLIED_COMMANDS: Final = "sluice.dev/applied-commands"
"""A JSON object. `topic/partition` maps to the offset of the last command applied from there, and
`topic/partition appended` to that command's timestamp in Kafka (epoch milliseconds)."""

FINALIZER: Final = "sluice.dev/outcome-published"
"""Keeps the object until `release_after` has passed since Kafka acknowledged its terminal event."""
