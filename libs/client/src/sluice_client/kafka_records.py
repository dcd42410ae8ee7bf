"""Records as they come from aiokafka."""

from aiokafka import ConsumerRecord

from sluice_contracts.records import IncomingRecord, Position

__all__ = ["incoming_of"]


def incoming_of(record: ConsumerRecord) -> IncomingRecord:
    """Return the record as the contracts have it."""
    return IncomingRecord(
        position=Position(record.topic, record.partition, record.offset),
        timestamp_ms=record.timestamp,
        key=record.key,
        value=record.value,
        headers=tuple((name, value or b"") for name, value in record.headers),
    )
