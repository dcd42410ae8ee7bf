"""Splits a batch of records into transactions of bounded size."""

from collections.abc import Iterator, Sequence
from typing import Final

from sluice_contracts.records import IncomingRecord

__all__ = ["portions"]

# In bytes: the projection needs several times as much memory, and has two portions in hand.
_PORTION_BYTES: Final = 2 * 1024 * 1024


def portions(records: Sequence[IncomingRecord]) -> Iterator[Sequence[IncomingRecord]]:
    """Yield the records in order, as many for each transaction as its size allows."""
    portion: list[IncomingRecord] = []
    size = 0
    for record in records:
        portion.append(record)
        size += record.memory
        if size >= _PORTION_BYTES:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion
