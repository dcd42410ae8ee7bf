"""Why a record cannot proceed now, as readiness, logs and metrics name it."""

from enum import StrEnum

__all__ = ["MustWaitError", "WaitReason"]


class WaitReason(StrEnum):
    """What a record waits for."""

    SAME_RUN = "same run"
    """An earlier record of its run is not finished."""
    COMMANDS = "commands"
    """It is a command, and as many commands as allowed are being executed."""
    STATUS_WATCHER = "status-watcher"
    """It is a retry, and the outcome of the attempt is not published yet."""
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
    BUG = "bug"
    """The dispatcher failed on it; the log has the traceback."""


class MustWaitError(Exception):
    """A step cannot succeed before something else has happened; `reason` names it."""

    def __init__(self, message: str, *, reason: WaitReason) -> None:
        super().__init__(message)
        self.reason = reason
