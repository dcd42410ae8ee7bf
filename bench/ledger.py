"""How large and fast the dispatcher's ledger is, beside bare inserts: `python -m bench.ledger`.

Records of outcomes are decoded and written in batches of 500, as the dispatcher does, until there
are as many as each of `--sizes` says. The reference is sqlite3 alone, which inserts the same rows
in the same batches into an equal table. They alternate, 10,000 outcomes each. For each size the
output has the rates of the last batches, their ratio, the bytes of the file for each outcome, and
how long it takes to find one. No other process is needed.
"""

import argparse
import asyncio
import gc
import json
import random
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.run_view import TOPICS, Placed, bytes_of, event, run_id
from sluice_contracts.records import IncomingRecord
from sluice_contracts.status_codec import PublishedEvent, decode_status, encode_status
from sluice_dispatcher.adapters.ledger import open_ledger_store
from sluice_runtime.projection.sqlite_store import SqliteStore

_BATCH = 500
_EACH = 10_000
_LOOKUPS = 1000
_LAST = 5
# As sluice_runtime.projection.sqlite_file has them.
_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "wal_autocheckpoint = 8000",
    "cache_size = -16384",
)
_TABLE = """
CREATE TABLE outcomes (
    tenant TEXT, run_id TEXT, fingerprint TEXT, phase TEXT, topic TEXT, partition INTEGER,
    offset INTEGER, appended_ms INTEGER, cancelled TEXT, PRIMARY KEY (tenant, run_id)
) WITHOUT ROWID;
CREATE INDEX outcomes_by_record ON outcomes (topic, partition, offset)
"""
_FIND = "SELECT fingerprint, phase FROM outcomes WHERE tenant = ? AND run_id = ?"


class Bare:
    """The least that could be done: sqlite3, and a transaction for each batch."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)
        for pragma in _PRAGMAS:
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.executescript(_TABLE)

    def write(self, rows: list[tuple[Any, ...]]) -> None:
        """Insert the rows in batches."""
        for first in range(0, len(rows), _BATCH):
            self._connection.execute("BEGIN")
            self._connection.executemany(
                "INSERT INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows[first : first + _BATCH],
            )
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


async def measure(sizes: list[int]) -> list[dict[str, float]]:
    """Return the figures of each size."""
    found, placed = [], Placed()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "ledger"
        (Path(folder) / "bare").mkdir()
        bare = Bare(Path(folder) / "bare" / "bare.sqlite")
        async with open_ledger_store(home / "ledger.sqlite") as store:
            rates: list[tuple[float, float, float]] = []
            number = 0
            for size in sorted(sizes):
                while number < size:
                    records = [
                        placed.at(TOPICS.results, encode_status(event(each, 5), source="/bench"))
                        for each in range(number, number + _EACH)
                    ]
                    number += _EACH
                    rates.append(await _alternate(store, bare, records))
                await store.truncate_log()
                took = [await _find(store, number) for _ in range(_LOOKUPS)]
                decoding, writing, bare_rate = (
                    statistics.median(each) for each in zip(*rates[-_LAST:], strict=True)
                )
                found.append(
                    {
                        "outcomes": number,
                        "decoded_and_written": decoding,
                        "written": writing,
                        "bare": bare_rate,
                        "ratio": statistics.median(w / b for _, w, b in rates[-_LAST:]),
                        "bytes": bytes_of(home) / number,
                        "p50_ms": statistics.median(took),
                        "p99_ms": statistics.quantiles(took, n=100)[98],
                    }
                )
                print(json.dumps(found[-1]), flush=True)
        bare.close()
    return found


async def _alternate(
    store: SqliteStore, bare: Bare, records: list[IncomingRecord]
) -> tuple[float, float, float]:
    """Return outcomes a second: decoded and written, written alone, and by bare inserts."""
    rows = [_row(each) for each in records]
    gc.collect()
    began = time.perf_counter()
    spent = 0.0
    for first in range(0, len(records), _BATCH):
        write = await store.prepare(records[first : first + _BATCH])
        before = time.perf_counter()
        await write()
        spent += time.perf_counter() - before
    whole = time.perf_counter() - began
    began = time.perf_counter()
    bare.write(rows)
    return len(rows) / whole, len(rows) / spent, len(rows) / (time.perf_counter() - began)


async def _find(store: SqliteStore, count: int) -> float:
    number = random.randrange(count)  # noqa: S311 - any of them
    began = time.perf_counter()
    [_] = await store.read(_FIND, ("default", run_id(number)))
    return (time.perf_counter() - began) * 1e3


def _row(record: IncomingRecord) -> tuple[Any, ...]:
    published = decode_status(record)
    if not isinstance(published, PublishedEvent):
        raise TypeError("the record has no outcome")
    state = published.event
    return (
        state.tenant,
        state.run_id,
        published.fingerprint,
        state.phase,
        record.position.topic,
        record.position.partition,
        record.position.offset,
        record.timestamp_ms,
        None,
    )


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.ledger",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sizes = [10_000, 100_000, 1_000_000]
    parser.add_argument("--sizes", type=int, nargs="+", default=sizes, help="(%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args()
    figures = asyncio.run(measure(options.sizes))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
