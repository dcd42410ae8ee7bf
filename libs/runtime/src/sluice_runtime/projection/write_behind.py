"""Stores one batch of records while the next one is decoded."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from sluice_contracts.records import IncomingRecord

__all__ = ["PreparesRecords", "WriteBehind"]


class PreparesRecords(Protocol):
    """What stores records in two steps."""

    async def prepare(self, records: Sequence[IncomingRecord]) -> Callable[[], Awaitable[None]]:
        """Decode the records; return what stores them, to be called once."""


class WriteBehind:
    """Stores batches in the order of the calls, each only after the one before it succeeded.

    So the offset that is stored never passes a record that is not. Two batches are in memory.
    """

    def __init__(self, store: PreparesRecords) -> None:
        self._store = store
        self._writing: asyncio.Task[None] | None = None

    async def put(self, records: Sequence[IncomingRecord]) -> None:
        """Decode the records, wait for the batch before, and begin to store this one.

        Raises:
            Exception: the batch before could not be stored; this one is dropped.
        """
        write = await self._store.prepare(records)
        await self.flush()
        self._writing = asyncio.create_task(_run(write), name="write behind")

    async def flush(self) -> None:
        """Wait until everything is stored.

        Raises:
            Exception: the last batch could not be stored.
        """
        if self._writing is not None:
            # A caller that is cancelled must not leave half of the wait behind: see `end`.
            await asyncio.shield(self._writing)
            self._writing = None

    async def end(self) -> None:
        """Wait until nothing is being stored, whether it succeeds or not."""
        if self._writing is not None:
            await asyncio.wait({self._writing})
            if not self._writing.cancelled():
                # An error was raised by `flush`, or the next session meets it again.
                self._writing.exception()
            self._writing = None


async def _run(write: Callable[[], Awaitable[None]]) -> None:
    await write()
