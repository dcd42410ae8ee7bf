"""Records as they come from aiokafka, and what goes wrong while they are read."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka import ConsumerRecord
from aiokafka.errors import OffsetOutOfRangeError

from sluice_client.documents import problem_of
from sluice_client.errors import EventsGoneError, UnreachableError
from sluice_client.kafka_connection import unreachable
from sluice_contracts.problems import ProblemType
from sluice_contracts.records import IncomingRecord, Position

__all__ = ["incoming_of", "reading"]


def incoming_of(record: ConsumerRecord) -> IncomingRecord:
    """Return the record as the contracts have it."""
    return IncomingRecord(
        position=Position(record.topic, record.partition, record.offset),
        timestamp_ms=record.timestamp,
        key=record.key,
        value=record.value,
        headers=tuple((name, value or b"") for name, value in record.headers),
    )


@contextmanager
def reading() -> Iterator[None]:
    """Raise what Kafka says while events are read as ours.

    Raises:
        EventsGoneError: the events behind the place are no longer kept.
        UnreachableError: Kafka did not answer, or not to this account.
    """
    try:
        with unreachable():
            yield
    except UnreachableError as e:
        if isinstance(e.__cause__, OffsetOutOfRangeError):
            detail = "The events behind this place are no longer kept. Read the run by HTTP."
            raise EventsGoneError(problem_of(ProblemType.LOG_TRUNCATED, detail)) from e
        raise
