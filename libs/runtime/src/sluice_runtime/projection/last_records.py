"""Recognises a topic that is not the one that was projected, although its offsets fit.

A topic may be deleted and created again, or restored from a backup. Once it has grown past the
stored offsets, only its records show that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sluice_contracts.records import IncomingRecord

__all__ = ["LastRecord", "LastRecords", "TopicReplacedError"]


class TopicReplacedError(Exception):
    """At the offset of the record that was projected last, the topic has another record."""


@dataclass(frozen=True, slots=True)
class LastRecord:
    """The record of a partition that was projected last.

    The timestamp distinguishes it from another record at that offset: Kafka dates a record when it
    is appended.
    """

    offset: int
    timestamp_ms: int


class LastRecords:
    """Checks the first records that are read against those that were projected last.

    `expected` maps topic and partition to the record that is to be read once more.
    """

    def __init__(self, expected: Mapping[tuple[str, int], LastRecord]) -> None:
        self._expected = dict(expected)

    def without(self, records: Sequence[IncomingRecord]) -> Sequence[IncomingRecord]:
        """Return the records that have not been projected yet.

        A partition may lack its expected record: compaction deletes one once its key has a later
        record. Then nothing can be said.

        Raises:
            TopicReplacedError: a partition has another record at that offset.
        """
        if not self._expected:
            return records
        return [record for record in records if not self._is_known(record)]

    def _is_known(self, record: IncomingRecord) -> bool:
        position = record.position
        last = self._expected.pop((position.topic, position.partition), None)
        if last is None or last.offset != position.offset:
            return False
        if last.timestamp_ms != record.timestamp_ms:
            raise TopicReplacedError
        return True
