"""Stores records in a projection, in one step."""

from collections.abc import Sequence

from sluice_contracts.records import IncomingRecord
from sluice_runtime.projection.write_behind import PreparesRecords

__all__ = ["apply"]


async def apply(store: PreparesRecords, records: Sequence[IncomingRecord]) -> None:
    """Decode the records and store them, with the offsets after them."""
    write = await store.prepare(records)
    await write()
