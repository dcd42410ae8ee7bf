"""Puts records into aiokafka's batches: a future for each batch, instead of one for each record."""

from collections.abc import Iterable, Sequence
from typing import Any

from sluice_contracts.records import OutgoingRecord
from sluice_runtime.kafka.partitioning import choose_partition

__all__ = ["batches_of", "sent_value"]

# aiokafka is untyped: a producer, and a BatchBuilder with its partition.
_Producer = Any
_Batch = tuple[int, Any]


def batches_of(
    records: Iterable[OutgoingRecord], producer: _Producer, *, partitions: Sequence[int]
) -> list[_Batch]:
    """Return closed batches with their partitions; the records of a partition keep their order."""
    done: list[_Batch] = []
    open_batches: dict[int, Any] = {}
    for record in records:
        partition = choose_partition(record.key, partitions, partitions)
        batch = open_batches.get(partition)
        if batch is None or not _append(batch, record):
            if batch is not None:
                done.append((partition, batch))
            batch = open_batches[partition] = producer.create_batch()
            # An empty batch takes a record of any size.
            _append(batch, record)
    done += open_batches.items()
    for _, batch in done:
        batch.close()
    return done


def sent_value(record: OutgoingRecord) -> bytes | None:
    """Return the value that aiokafka takes.

    Kafka allows a record without key and value, aiokafka does not: its value becomes empty.
    """
    return b"" if record.key is None and record.value is None else record.value


def _append(batch: Any, record: OutgoingRecord) -> bool:  # noqa: ANN401 - aiokafka is untyped
    value, headers = sent_value(record), list(record.headers)
    return batch.append(timestamp=None, key=record.key, value=value, headers=headers) is not None
