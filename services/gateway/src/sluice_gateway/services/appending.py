"""What a client hears when its record was not acknowledged."""

from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def append_problems(*, unknown: str) -> Iterator[None]:
    """Raise a problem if the body could not append to the request topic.

    Args:
        unknown: what to say, and to do next, if the record may have been written.

    Raises:
        ProblemError: OUTCOME_UNKNOWN, UNAVAILABLE or TOO_LARGE.
    """
    try:
        yield
    except RequestNotAcknowledgedError as e:
        _log.warning("request not acknowledged", error=str(e))
        raise ProblemError.of(
            ProblemType.OUTCOME_UNKNOWN, unknown, retry_after=_RETRY_AFTER_S
        ) from e
    except UnsafeTopicError as e:
        _log.warning("request not accepted", error=str(e))
        raise ProblemError.of(
            ProblemType.UNAVAILABLE,
            "Kafka is not set up to keep what would be accepted, so nothing was written; ask "
            "again once its operators have changed that.",
            retry_after=_RETRY_UNSAFE_AFTER_S,
        ) from e
    except TopicSetFullError as e:
        _log.warning("request not accepted", error=str(e))
        raise topic_set_full() from e
    except RecordTooLargeError as e:
        raise ProblemError.of(ProblemType.TOO_LARGE, str(e)) from e


def topic_set_full() -> ProblemError:
    """Return the problem that too much of the tenant's topics waits for Kafka."""
    return ProblemError.of(
        ProblemType.UNAVAILABLE,
        "Kafka does not acknowledge the requests of this tenant as fast as they come, so nothing "
        "was written. Ask again after the time in Retry-After.",
        retry_after=_RETRY_AFTER_S,
    )
