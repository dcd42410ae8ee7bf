"""Since when this dispatcher owns its partitions."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from sluice_contracts.records import IncomingRecord

__all__ = ["Assignment"]

# Brokers set the timestamps of records, and their clocks may differ from this one.
_CLOCKS_DIFFER: Final = timedelta(minutes=5)


class Assignment:
    """Knows which records no other dispatcher can have read before."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._began = now()

    def restart(self) -> None:
        """Note that partitions were assigned again."""
        self._began = self._now()

    def is_first_reader_of(self, record: IncomingRecord) -> bool:
        """Return whether a record was appended for certain after the assignment."""
        return record.timestamp_ms > (self._began + _CLOCKS_DIFFER).timestamp() * 1000
