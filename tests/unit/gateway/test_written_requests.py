"""Requests that are not in the store yet."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from sluice_contracts.ids import RunKey
from sluice_contracts.records import IncomingRecord, Position
from sluice_gateway.adapters.written_requests import WrittenRequests
from sluice_gateway.domain.run_changes import Facts, RequestChange


def request(run_id: str, *, offset: int, parameters: str | None = None) -> RequestChange:
    return RequestChange(
        key=RunKey("default", run_id),
        partition=0,
        offset=offset,
        accepted_ms=0,
        workflow="greet",
        fingerprint="f",
        facts=Facts({}, "normal", None),
        parameters=parameters,
    )


def record(change: RequestChange, **changes: Any) -> IncomingRecord:
    read = IncomingRecord(
        position=Position("t", 0, change.offset),
        timestamp_ms=change.accepted_ms,
        key=str(change.key).encode(),
        value=b"{}",
        headers=(),
    )
    return replace(read, **changes)


class Store:
    """Keeps what is written; `may_write` is cleared to let a write take time."""

    def __init__(self) -> None:
        self.writes: list[list[str]] = []
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.fails = False

    async def write(self, changes: Sequence[RequestChange]) -> None:
        await self.may_write.wait()
        if self.fails:
            raise OSError("no space left")
        self.writes.append([change.key.run_id for change in changes])


async def test_requests_are_written_together_and_once() -> None:
    written, store = WrittenRequests(), Store()
    for offset, run_id in enumerate("abc"):
        written.add("t", 0, request(run_id, offset=offset))
    assert RunKey("default", "b") in written
    await written.write(store.write)
    await written.write(store.write)
    assert store.writes == [["a", "b", "c"]]
    assert RunKey("default", "b") not in written


async def test_what_the_projection_has_read_is_not_written() -> None:
    written, store = WrittenRequests(), Store()
    written.add("t", 0, request("a", offset=4))
    written.add("t", 0, request("b", offset=5))
    written.add("t", 1, request("c", offset=4))
    written.add("u", 0, request("d", offset=4))
    written.drop_projected({("t", 0): 5, ("u", 1): 9})
    await written.write(store.write)
    assert store.writes == [["b", "c", "d"]]


async def test_a_reader_returns_once_all_before_it_is_written() -> None:
    """The run of the second reader is in the write of the first."""
    written, store = WrittenRequests(), Store()
    store.may_write.clear()
    written.add("t", 0, request("a", offset=0))
    first = asyncio.create_task(written.write(store.write))
    await asyncio.wait({first}, timeout=0)
    second = asyncio.create_task(written.write(store.write))
    await asyncio.wait({second}, timeout=0)
    assert not second.done()
    assert RunKey("default", "a") in written
    written.add("t", 0, request("b", offset=1))
    store.may_write.set()
    await asyncio.gather(first, second)
    assert store.writes == [["a"], ["b"]]


async def test_a_write_that_fails_is_made_again() -> None:
    written, store = WrittenRequests(), Store()
    written.add("t", 0, request("a", offset=0))
    store.fails = True
    with pytest.raises(OSError, match="no space"):
        await written.write(store.write)
    store.fails = False
    await written.write(store.write)
    assert store.writes == [["a"]]


async def test_the_projection_may_read_during_a_write() -> None:
    written, store = WrittenRequests(), Store()
    store.may_write.clear()
    written.add("t", 0, request("a", offset=0))
    writing = asyncio.create_task(written.write(store.write))
    await asyncio.wait({writing}, timeout=0)
    written.drop_projected({("t", 0): 1})
    store.may_write.set()
    await writing
    assert RunKey("default", "a") not in written


def test_a_later_request_of_a_run_is_held_when_the_first_is_dropped() -> None:
    written = WrittenRequests()
    written.add("t", 0, request("a", offset=0))
    written.add("t", 0, request("a", offset=7))
    written.drop_projected({("t", 0): 1})
    assert RunKey("default", "a") in written
    written.drop_projected({("t", 0): 8})
    assert RunKey("default", "a") not in written


async def test_the_oldest_are_dropped_when_there_are_too_many() -> None:
    written, store = WrittenRequests(most=2, most_characters=10), Store()
    for offset, run_id in enumerate("abc"):
        written.add("t", 0, request(run_id, offset=offset))
    assert RunKey("default", "a") not in written
    written.add("t", 0, request("d", offset=3, parameters="x" * 9))
    written.add("t", 0, request("e", offset=4, parameters="x" * 2))
    await written.write(store.write)
    assert store.writes == [["e"]]


async def test_nothing_is_left_of_topics_that_are_replaced() -> None:
    written, store = WrittenRequests(most_characters=10), Store()
    written.add("t", 0, request("a", offset=0, parameters="x" * 9))
    written.clear()
    written.add("t", 0, request("b", offset=0, parameters="x" * 9))
    await written.write(store.write)
    assert store.writes == [["b"]]


def test_a_record_is_known_by_its_place_its_time_and_its_key() -> None:
    written, change = WrittenRequests(), request("a", offset=3)
    written.add("t", 0, change)
    assert written.of(record(change)) is change
    for another in (
        {"position": Position("t", 1, 3)},
        {"position": Position("u", 0, 3)},
        {"timestamp_ms": 1},
        {"key": b"default/b"},
        {"key": None},
    ):
        assert written.of(record(change, **another)) is None
