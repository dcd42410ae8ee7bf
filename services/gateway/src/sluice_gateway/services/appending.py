"""What a client hears when its record was not acknowledged."""

from contextlib import AbstractContextManager
from typing import Final

import structlog

from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.ports import (
    RecordTooLargeError,
    RequestNotAcknowledgedError,
    TopicSetFullError,
    UnsafeTopicError,
)

__all__ = ["append_problems", "topic_set_full"]

_log = structlog.get_logger(__name__)

_RETRY_AFTER_S: Final = 2
# Somebody has to change the topic, and the next look at it is minutes away.
_RETRY_UNSAFE_AFTER_S: Final = 60


def append_problems(*, unknown: str) -> AbstractContextManager[None]:
    """Raise a problem if the body could not append to the request topic.

    Args:
        unknown: what to say, and to do next, if the record may have been written.

    Raises:
        ProblemError: OUTCOME_UNKNOWN, UNAVAILABLE or TOO_LARGE.
    """
    return _AppendProblems(unknown)


class _AppendProblems:
    # A class, because a generator takes three times as long.
    __slots__ = ("_unknown",)

    def __init__(self, unknown: str) -> None:
        self._unknown = unknown

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None and (problem := _problem(error, unknown=self._unknown)) is not None:
            raise problem from error


def _problem(error: BaseException, *, unknown: str) -> ProblemError | None:
    match error:
        case RequestNotAcknowledgedError():
            _log.warning("request not acknowledged", error=str(error))
            return ProblemError.of(ProblemType.OUTCOME_UNKNOWN, unknown, retry_after=_RETRY_AFTER_S)
        case UnsafeTopicError():
            _log.warning("request not accepted", error=str(error))
            return ProblemError.of(
                ProblemType.UNAVAILABLE,
                "Kafka is not set up to keep what would be accepted, so nothing was written; ask "
                "again once its operators have changed that.",
                retry_after=_RETRY_UNSAFE_AFTER_S,
            )
        case TopicSetFullError():
            _log.warning("request not accepted", error=str(error))
            return topic_set_full()
        case RecordTooLargeError():
            return ProblemError.of(ProblemType.TOO_LARGE, str(error))
    return None


def topic_set_full() -> ProblemError:
    """Return the problem that too much of the tenant's topics waits for Kafka."""
    return ProblemError.of(
        ProblemType.UNAVAILABLE,
        "Kafka does not acknowledge the requests of this tenant as fast as they come, so nothing "
        "was written. Ask again after the time in Retry-After.",
        retry_after=_RETRY_AFTER_S,
    )
