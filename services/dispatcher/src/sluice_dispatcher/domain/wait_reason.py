"""Why a record cannot be worked on now: the word for readiness, logs and metrics."""

from enum import StrEnum

__all__ = ["WaitReason"]


class WaitReason(StrEnum):
    """What a record waits for."""

    SAME_RUN = "same run"
    """An earlier record of its run is not finished."""
    COMMANDS = "commands"
    """It is a command, and other commands are being carried out."""
    STATUS_WATCHER = "status-watcher"
    """It is a retry, and the end of the run is not published yet."""
    FORBIDDEN = "forbidden"
    """A Role, a quota or a policy of the cluster does not let it; somebody has to change that."""
    KUBERNETES = "kubernetes"
    """The API server gives no clear answer, or none for a while."""
    SLOT = "slot"
    """As many calls as may be are under way, and each takes long."""
    LATE_CREATE = "late create"
    """Its time has passed, and a create that was sent before may still be carried out."""
    KAFKA = "kafka"
    """Kafka does not acknowledge what is to be published."""
    TOPIC = "topic"
    """A topic takes smaller records than when the dispatcher started."""
    BUG = "bug"
    """The dispatcher failed on it; the log has the traceback."""
