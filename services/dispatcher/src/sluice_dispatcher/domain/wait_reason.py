"""Why a record cannot proceed now, as readiness, logs and metrics name it."""

from enum import StrEnum
from typing import Final

__all__ = ["MustWaitError", "WaitReason", "wait_detail"]


class WaitReason(StrEnum):
    """What a record waits for."""

    SAME_RUN = "same run"
    """An earlier record of its run is not finished."""
    COMMANDS = "commands"
    """It is a command, and as many commands as allowed are being executed."""
    STATUS_WATCHER = "status-watcher"
    """It is a retry, and the outcome of the attempt is not published yet."""
    ARGO = "argo"
    """It is a retry, and Argo is not done with the end of the attempt, or with its pods."""
    FORBIDDEN = "forbidden"
    """A Role, a quota or a policy of the cluster forbids it until that is changed."""
    KUBERNETES = "kubernetes"
    """The API server gives no clear answer, or none for a while."""
    SLOT = "slot"
    """As many calls as allowed are under way, and each takes long."""
    LATE_CREATE = "late create"
    """It has expired or is to be stopped, and a create that was sent may still be carried out."""
    KAFKA = "kafka"
    """Kafka does not acknowledge what is to be published."""
    TOPIC = "topic"
    """A topic accepts smaller records than when the dispatcher started."""
    LIVE_LIMIT = "live limit"
    """As many runs as allowed are live."""
    TENANT_LIMIT = "tenant limit"
    """As many runs of its tenant as allowed are live."""
    WORKFLOW_LIMIT = "workflow limit"
    """As many runs of its workflow as allowed are live."""
    CONCURRENCY = "concurrency"
    """As many runs as its workflow allows for one key are live."""
    PAUSED = "paused"
    """Its tenant or its workflow is paused."""
    BUG = "bug"
    """The dispatcher failed on it; the log has the traceback."""


_DETAILS: Final = {
    WaitReason.SAME_RUN: "An earlier request of the same run is not finished.",
    WaitReason.COMMANDS: "As many commands as allowed are being executed.",
    WaitReason.STATUS_WATCHER: "The outcome of the last attempt is not published yet.",
    WaitReason.ARGO: "Argo is not done with the end of the last attempt yet.",
    WaitReason.FORBIDDEN: "A quota, a policy or a Role of the cluster forbids the run for now.",
    WaitReason.KUBERNETES: "The cluster's API server does not answer, or not clearly.",
    WaitReason.SLOT: "As many runs as allowed are being started, and each takes long.",
    WaitReason.LATE_CREATE: "The run has expired or is to be stopped, but may still begin.",
    WaitReason.KAFKA: "Kafka does not acknowledge what is to be published.",
    WaitReason.TOPIC: "A topic accepts smaller records than when the dispatcher started.",
    WaitReason.LIVE_LIMIT: "As many runs as allowed are live.",
    WaitReason.TENANT_LIMIT: "As many runs of the tenant as allowed are live.",
    WaitReason.WORKFLOW_LIMIT: "As many runs of the workflow as allowed are live.",
    WaitReason.CONCURRENCY: "As many runs as the workflow allows for one key are live.",
    WaitReason.PAUSED: "The tenant or the workflow is paused.",
    WaitReason.BUG: "The dispatcher failed on the request; its log has the error.",
}


def wait_detail(reason: WaitReason) -> str:
    """Return the reason in a sentence for the run's owner."""
    return _DETAILS[reason]


class MustWaitError(Exception):
    """A step cannot succeed before something else has happened; `reason` names it.

    It is pointless to try again within `retry_after` seconds.
    """

    def __init__(self, message: str, *, reason: WaitReason, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after = retry_after
