"""The file of a projection is exact at every moment, and never prevents a start."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice_contracts.records import IncomingRecord, Position
from sluice_runtime.projection import sqlite_file
from sluice_runtime.projection.projection import Projection
from sluice_runtime.projection.sqlite_file import StoreDamagedError, StoreUnusableError
from sluice_runtime.projection.sqlite_store import SqliteStore
from tests.support.projections import apply
from tests.unit.runtime.log_capture import captured
from tests.unit.runtime.projection.word_table import (
    Rows,
    Seen,
    decode,
    everything,
    open_store,
    projection,
    words,
    write,
)


def record(
    word: str, offset: int, *, partition: int = 0, key: bytes | None = None
) -> IncomingRecord:
    return IncomingRecord(
        position=Position("t", partition, offset), timestamp_ms=0, key=key, value=word.encode()
    )


RECORDS = [record(word, offset, key=b"k") for offset, word in enumerate("abac")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "view.sqlite"


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _read(path: Path) -> bytes:
    return path.read_bytes()


def _join_workers() -> None:
    """Wait for the threads of connections that could not be opened, while there is a loop."""
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            thread.join()


def _delete(path: Path) -> None:
    path.unlink()


def _journal(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


async def _filled(path: Path) -> None:
    async with open_store(path) as store:
        await apply(store, RECORDS)


async def test_records_and_offsets_survive_a_restart(path: Path) -> None:
    async with open_store(path) as store:
        assert await store.offsets() == {}
        await apply(store, [*RECORDS, record("z", 7, partition=1)])
    async with open_store(path) as store:
        assert await words(store) == {"a": 2, "b": 1, "c": 1, "z": 1}
        assert await store.read("SELECT word FROM keys WHERE name = ?", (b"k",)) == [("c",)]
        assert await store.offsets() == {("t", 0): 4, ("t", 1): 8}


async def test_expiry_deletes_rows_of_deleted_records(path: Path) -> None:
    tables = "CREATE TABLE IF NOT EXISTS seen (partition INTEGER, offset INTEGER)"
    expiry = """
        DELETE FROM seen WHERE EXISTS (
            SELECT 1 FROM log_starts WHERE topic = ?
            AND log_starts.partition = seen.partition AND seen.offset < first_offset)
    """

    def note(connection: sqlite3.Connection, seen: Sequence[tuple[int, int]]) -> None:
        connection.executemany("INSERT INTO seen VALUES (?, ?)", seen)

    def expire(connection: sqlite3.Connection) -> bool:
        connection.execute(expiry, ("t",))
        return False

    seen = Projection(
        tables=tables,
        version=1,
        decode=lambda record: (record.position.partition, record.position.offset),
        write=note,
        expire=expire,
    )
    async with SqliteStore.open(path, seen) as store:
        await apply(
            store, [record("a", offset, partition=n) for offset in range(3) for n in (0, 1)]
        )
        for start, left in ((1, [1, 2]), (3, [])):
            await store.expire({("t", 0): start, ("t", 1): 0, ("other", 1): 9})
            assert await store.read("SELECT offset FROM seen WHERE partition = 0") == [
                (offset,) for offset in left
            ]
        assert await store.read("SELECT COUNT(*) FROM seen") == [(3,)]
        await store.forget()
        assert await store.read("SELECT * FROM log_starts") == []


async def test_offsets_may_have_gaps(path: Path) -> None:
    async with open_store(path) as store:
        await apply(store, [record("a", 3), record("b", 17)])
        assert await store.offsets() == {("t", 0): 18}


async def test_an_empty_batch_changes_nothing(path: Path) -> None:
    async with open_store(path) as store:
        await apply(store, [])
        assert await everything(store) == ([], [], {})


async def test_the_event_loop_runs_between_large_records(path: Path) -> None:
    rounds, seen = 0, []

    def noting(record: IncomingRecord) -> Seen:
        seen.append(rounds)
        return decode(record)

    async def count() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    async with SqliteStore.open(path, projection(decode=noting)) as store:
        counting = asyncio.create_task(count())
        await apply(store, [record("a" * 100_000, offset) for offset in range(20)])
        counting.cancel()
    assert len(set(seen)) == 20


class CrashError(Exception):
    """Simulates the end of the process."""


def _crashes_at(word: int) -> Projection[Seen]:
    """Project as usual, but for one word that SQLite cannot write."""
    left = word

    def crashing(connection: sqlite3.Connection, seen: Sequence[Seen]) -> None:
        nonlocal left
        for each in seen:
            left -= 1
            if not left:
                connection.execute("INSERT INTO no_such_table VALUES (1)")
            write(connection, [each])

    return projection(write=crashing)


_WORDS_AND_KEYS = st.tuples(st.sampled_from("abc"), st.sampled_from([None, b"j", b"k"]))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    log=st.lists(_WORDS_AND_KEYS, max_size=12),
    batches=st.lists(st.integers(1, 5), min_size=1, max_size=12),
    crashes=st.lists(st.integers(0, 8), max_size=5),
)
def test_any_batching_and_any_crash_give_the_same_table(
    tmp_path_factory: pytest.TempPathFactory,
    log: list[tuple[str, bytes | None]],
    batches: list[int],
    crashes: list[int],
) -> None:
    folder = tmp_path_factory.mktemp("projection")
    records = [record(word, offset, key=key) for offset, (word, key) in enumerate(log)]

    async def all_at_once() -> Any:
        async with open_store(folder / "whole") as store:
            if records:
                await apply(store, records)
            return await everything(store)

    async def step_by_step() -> Any:
        path, at, sizes = folder / "parts", 0, iter(batches)
        for crash in (*crashes, 0):
            chosen = _crashes_at(crash) if crash else projection()
            async with SqliteStore.open(path, chosen) as store:
                at = (await store.offsets()).get(("t", 0), 0)
                with contextlib.suppress(sqlite3.OperationalError):
                    while at < len(records):
                        await apply(store, records[at : at + next(sizes, 1)])
                        at = (await store.offsets())["t", 0]
                table = await everything(store)
        return table

    assert asyncio.run(step_by_step()) == asyncio.run(all_at_once())


async def test_a_batch_that_fails_leaves_nothing_behind(path: Path) -> None:
    await _filled(path)
    async with SqliteStore.open(path, _crashes_at(2)) as store:
        before = await everything(store)
        with pytest.raises(sqlite3.OperationalError, match="no_such_table"):
            await apply(store, [record(word, 4 + n, key=b"k") for n, word in enumerate("xyz")])
        assert await everything(store) == before
        await apply(store, [record("x", 4)])
        assert await store.offsets() == {("t", 0): 5}


async def test_a_failed_projection_writes_nothing(path: Path) -> None:
    def broken(_: IncomingRecord) -> Seen:
        raise CrashError

    async with SqliteStore.open(path, projection(decode=broken)) as store:
        with pytest.raises(CrashError):
            await apply(store, RECORDS)
        assert await everything(store) == ([], [], {})


async def test_readers_see_whole_batches(path: Path) -> None:
    """One batch writes 200 words: a reader sees all of them or none."""
    async with open_store(path) as store:
        batch = [record(f"w{n}", n) for n in range(200)]
        applying = asyncio.create_task(apply(store, batch))
        seen = [len(await words(store)) for _ in range(20)]
        await applying
        assert set(seen) <= {0, 200}
        assert len(await words(store)) == 200


async def test_a_cancelled_write_is_complete_or_absent(path: Path) -> None:
    async with open_store(path) as store:
        writing = asyncio.create_task(apply(store, RECORDS))
        await asyncio.sleep(0)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing

        def read(connection: sqlite3.Connection) -> tuple[Rows, Rows]:
            tables = "SELECT word, seen FROM words", "SELECT next_offset FROM projected_offsets"
            seen, offsets = (connection.execute(each).fetchall() for each in tables)
            return sorted(seen), offsets

        assert await store.query(read) in [([], []), ([("a", 2), ("b", 1), ("c", 1)], [(4,)])]


async def test_a_transaction_is_complete_or_absent(path: Path) -> None:
    def add(*words: str) -> Callable[[sqlite3.Connection], object]:
        rows = [(word,) for word in words]
        return lambda connection: connection.executemany("INSERT INTO words VALUES (?, 1)", rows)

    async with open_store(path) as store:
        await store.transact(add("a"))
        with pytest.raises(sqlite3.IntegrityError):
            await store.transact(add("b", "a"))
        assert await words(store) == {"a": 1}
    async with open_store(path) as store:
        assert await words(store) == {"a": 1}


async def test_a_reader_does_not_wait_for_a_write(path: Path) -> None:
    await _filled(path)
    async with open_store(path) as store:
        may_write = threading.Event()

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM words")
            assert may_write.wait(30)

        writing = asyncio.create_task(store.transact(write))
        assert await words(store) == {"a": 2, "b": 1, "c": 1}
        assert not writing.done()
        may_write.set()
        await writing
        assert await words(store) == {}


async def test_a_query_reads_one_moment(path: Path) -> None:
    await _filled(path)
    async with open_store(path) as store:
        loop, may_read = asyncio.get_running_loop(), threading.Event()
        began = asyncio.Event()

        def read(connection: sqlite3.Connection) -> list[int]:
            counts = "SELECT COUNT(*) FROM words"
            [(first,)] = connection.execute(counts)
            loop.call_soon_threadsafe(began.set)
            assert may_read.wait(30)
            [(second,)] = connection.execute(counts)
            return [first, second]

        reading = asyncio.create_task(store.query(read))
        await began.wait()
        await store.forget()
        may_read.set()
        assert await reading == [3, 3]


async def test_a_read_cannot_write(path: Path) -> None:
    async with open_store(path) as store:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await store.read("DELETE FROM words")


async def test_the_log_can_be_emptied(path: Path) -> None:
    async with open_store(path) as store:
        await apply(store, RECORDS)
        assert _read(_journal(path))
        assert await store.truncate_log()
        assert not _read(_journal(path))


async def test_changes_that_are_noted_together_share_a_transaction(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store(path) as store:
        transactions, transact = 0, store.transact

        async def counted(write: Any) -> Any:
            nonlocal transactions
            transactions += 1
            return await transact(write)

        monkeypatch.setattr(store, "transact", counted)
        await asyncio.gather(*(store.note((f"w{n}", None)) for n in range(100)))
        # The first one does not wait for others, and those wait for it.
        assert transactions == 2
        assert len(await words(store)) == 100


async def test_a_change_is_noted_although_the_one_before_it_failed_or_was_cancelled(
    path: Path,
) -> None:
    failures = ["once"]

    def failing(connection: sqlite3.Connection, seen: Sequence[Seen]) -> None:
        if failures and seen[0][0] == "bad":
            failures.pop()
            connection.execute("INSERT INTO no_such_table VALUES (1)")
        write(connection, seen)

    async with SqliteStore.open(path, projection(write=failing)) as store:
        with pytest.raises(sqlite3.OperationalError, match="no_such_table"):
            await store.note(("bad", None))
        first = asyncio.create_task(store.note(("first", None)))
        second = asyncio.create_task(store.note(("second", None)))
        third = asyncio.create_task(store.note(("third", None)))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(first, third)
        found = await words(store)
        assert {"first", "third"} <= set(found)


async def test_forget_deletes_everything_and_projection_restarts(path: Path) -> None:
    await _filled(path)
    async with open_store(path) as store:
        await store.forget()
        assert await everything(store) == ([], [], {})
        await apply(store, RECORDS[:1])
        assert await words(store) == {"a": 1}


async def test_forget_works_with_concurrent_readers(path: Path) -> None:
    await _filled(path)
    async with open_store(path) as store:
        before = [asyncio.create_task(words(store)) for _ in range(10)]
        forgetting = asyncio.create_task(store.forget())
        while not forgetting.done():
            assert await words(store) in ({"a": 2, "b": 1, "c": 1}, {})
        for found in await asyncio.gather(*before):
            assert found in ({"a": 2, "b": 1, "c": 1}, {})
        await forgetting


@pytest.mark.parametrize(
    "garbage", [b"not a database at all" * 100, b"SQLite format 3\0" + b"x" * 4096]
)
async def test_a_damaged_file_is_recreated(path: Path, garbage: bytes) -> None:
    _write(path, garbage)
    _write(_journal(path), garbage)
    with captured(sqlite_file) as logged:
        async with open_store(path) as store:
            await apply(store, RECORDS)
    assert [each["event"] for each in logged] == ["file is unusable, recreated from the topics"]
    async with open_store(path) as store:
        assert await store.offsets() == {("t", 0): 4}


async def test_an_empty_or_truncated_file_is_recreated(path: Path) -> None:
    await _filled(path)
    whole = _read(path)
    for size in (0, 10, 100):
        _write(path, whole[:size])
        async with open_store(path) as store:
            await apply(store, RECORDS)
            assert await store.offsets() == {("t", 0): 4}


async def test_damage_found_in_use_is_repaired_by_the_next_start(path: Path) -> None:
    """The header is intact, a page is not: only a query finds that."""
    await _filled(path)
    async with open_store(path) as store:
        (page_size,) = (await store.read("PRAGMA page_size"))[0]
    data = bytearray(_read(path))
    for page in range(1, len(data) // page_size):
        data[page * page_size : (page + 1) * page_size] = b"\xa5" * page_size
    _write(path, bytes(data))
    async with open_store(path) as store:
        watching = asyncio.create_task(store.watch_for_damage())
        with pytest.raises(sqlite3.DatabaseError, match="malformed"):
            await everything(store)
        with pytest.raises(StoreDamagedError):
            await watching
    async with open_store(path) as store:
        assert await everything(store) == ([], [], {})
        await apply(store, RECORDS)


async def test_the_file_may_be_deleted_without_its_journal(path: Path) -> None:
    """A user deletes the file to rebuild it, after a crash that left the journal."""
    async with open_store(path) as store:
        await apply(store, RECORDS)
        journal = _read(_journal(path))
    _delete(path)
    _write(_journal(path), journal)
    async with open_store(path) as store:
        assert await everything(store) == ([], [], {})


async def test_a_crash_before_the_checkpoint_loses_nothing(path: Path, tmp_path: Path) -> None:
    """Return the files that a killed process leaves: the file and its journal."""
    left = tmp_path / "left"
    left.mkdir()
    async with open_store(path) as store:
        await apply(store, RECORDS)
        for file in path.parent.iterdir():
            (left / file.name).write_bytes(file.read_bytes())
    async with open_store(left / path.name) as store:
        assert await store.offsets() == {("t", 0): 4}
        assert await words(store) == {"a": 2, "b": 1, "c": 1}


@pytest.mark.parametrize("version", [2, 99])
async def test_another_version_is_recreated(path: Path, version: int) -> None:
    await _filled(path)
    with captured(sqlite_file) as logged:
        async with open_store(path, version=version) as store:
            assert await everything(store) == ([], [], {})
    assert logged[0]["error"] == f"its version is 1, not {version}"
    async with open_store(path, version=1) as store:
        assert await store.offsets() == {}


async def test_a_file_that_cannot_be_opened_is_kept(path: Path) -> None:
    _write(path / "precious", b"")
    with pytest.raises(StoreUnusableError, match=f"{path} cannot be opened: unable to open"):
        await open_store(path).__aenter__()
    _join_workers()
    assert _read(path / "precious") == b""


async def test_a_locked_file_is_not_damaged(path: Path) -> None:
    path.parent.mkdir()
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("CREATE TABLE precious (x)")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnusableError, match="database is locked"):
            await open_store(path).__aenter__()
        other.execute("COMMIT")
        assert other.execute("SELECT * FROM precious").fetchall() == []
    finally:
        other.close()
