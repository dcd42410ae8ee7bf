"""Batches are stored in order, while the next one is decoded."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from sluice_contracts.records import IncomingRecord, Position
from sluice_runtime.projection.write_behind import WriteBehind


class Store:
    """Notes its calls. Storing waits for `may_store`, and fails for the offsets in `fails`."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.may_store = asyncio.Event()
        self.fails: set[int] = set()

    async def prepare(self, records: Sequence[IncomingRecord]) -> Callable[[], Awaitable[None]]:
        [record] = records
        at = record.position.offset
        self.calls.append(f"decode {at}")

        async def store() -> None:
            self.calls.append(f"begin {at}")
            await self.may_store.wait()
            if at in self.fails:
                raise OSError("disk full")
            self.calls.append(f"stored {at}")

        return store


def batch(offset: int) -> list[IncomingRecord]:
    return [IncomingRecord(position=Position("t", 0, offset), timestamp_ms=0, key=None, value=None)]


async def quiet() -> None:
    """Let every task run until it waits for something."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_batch_is_decoded_while_the_one_before_is_stored() -> None:
    store = Store()
    writes = WriteBehind(store)
    await writes.put(batch(0))
    putting = asyncio.create_task(writes.put(batch(1)))
    await quiet()
    assert store.calls == ["decode 0", "begin 0", "decode 1"]
    assert not putting.done()
    store.may_store.set()
    await putting
    await writes.flush()
    assert store.calls[3:] == ["stored 0", "begin 1", "stored 1"]


async def test_a_batch_behind_one_that_failed_is_not_stored() -> None:
    store = Store()
    store.fails, writes = {0}, WriteBehind(store)
    store.may_store.set()
    await writes.put(batch(0))
    with pytest.raises(OSError, match="disk full"):
        await writes.put(batch(1))
    await quiet()
    assert sorted(store.calls) == ["begin 0", "decode 0", "decode 1"]


async def test_flush_raises_what_the_last_batch_failed_with() -> None:
    store = Store()
    store.fails, writes = {0}, WriteBehind(store)
    store.may_store.set()
    await writes.put(batch(0))
    with pytest.raises(OSError, match="disk full"):
        await writes.flush()


async def test_a_cancelled_wait_does_not_cancel_the_write() -> None:
    store = Store()
    writes = WriteBehind(store)
    await writes.put(batch(0))
    flushing = asyncio.create_task(writes.flush())
    await quiet()
    flushing.cancel()
    await quiet()
    store.may_store.set()
    await writes.end()
    assert store.calls[-1] == "stored 0"


async def test_after_its_end_it_begins_again() -> None:
    store = Store()
    store.fails, writes = {0}, WriteBehind(store)
    store.may_store.set()
    await writes.put(batch(0))
    await writes.end()
    await writes.put(batch(1))
    await writes.flush()
    assert store.calls[-1] == "stored 1"
