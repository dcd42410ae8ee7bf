"""Projects records in processes that are killed: `python -m tests.unit.gateway.killed_projection`.

The arguments are the file, the number of processes to be killed, and a seed. Each process is forked
from this one, which has all modules and only one thread, opens the file, and goes on where the file
says. It is killed in the middle of a transaction, or after a number of them. The last one comes to
the end.
"""

import asyncio
import os
import random
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

from sluice_contracts.records import IncomingRecord
from sluice_contracts.status import Phase
from sluice_runtime.projection.sqlite_store import SqliteStore
from tests.behaviour.run_view_port import Topics, step
from tests.support.projections import apply
from tests.unit.gateway.harness import NOW, opened_store

RUNS = 300
PHASES = (Phase.SUBMITTED, Phase.RUNNING, Phase.RUNNING, Phase.FAILED, Phase.RUNNING)


def records() -> list[IncomingRecord]:
    """Return what stands on the topics, the same every time: repeated and late events, too."""
    chance, topics, read = random.Random(0), Topics(time=NOW), []  # noqa: S311 - no secret
    for number in range(RUNS):
        read.append(topics.request(f"run-{number:04}", labels={"team": f"{number % 7}"}))
        for _ in range(6):
            sequence = chance.randrange(5)
            read.append(
                topics.event(
                    sequence,
                    PHASES[sequence],
                    run_id=f"run-{max(0, number - chance.randrange(9)):04}",
                    attempt=1 + sequence // 4,
                    partition=number % 3,
                    steps=tuple(step(name) for name in chance.sample("xyz", chance.randrange(3))),
                )
            )
    return read


async def project(store: SqliteStore, read: list[IncomingRecord], *, at_a_time: int) -> None:
    """Project what the file does not have yet."""
    known = await store.offsets()
    left = [
        record
        for record in read
        if record.position.offset
        >= known.get((record.position.topic, record.position.partition), 0)
    ]
    for first in range(0, len(left), at_a_time):
        await apply(store, left[first : first + at_a_time])


def die_after(instructions: int) -> Callable[[sqlite3.Connection], None]:
    """Return what makes SQLite kill the process after so many of its instructions."""

    def die() -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 1

    return lambda connection: connection.set_progress_handler(die, instructions)


async def live(path: Path, read: list[IncomingRecord], *, seed: int) -> None:
    """Project until the process is killed."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    async with opened_store(path) as store:
        if chance.random() < 0.5:
            await store.transact(die_after(chance.randint(1, 20_000)))
            await project(store, read, at_a_time=chance.randint(1, 40))
        else:
            portion = read[: chance.randint(1, len(read))]
            begun = asyncio.create_task(project(store, portion, at_a_time=chance.randint(1, 40)))
            # So many turns of the event loop: the thread may be anywhere.
            for _ in range(chance.randint(1, 60)):
                await asyncio.sleep(0)
            os.kill(os.getpid(), signal.SIGKILL)
            await begun
    # It came to the end before it was killed: that is a way to die as well.
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Let processes die, one after the other, and come to the end."""
    path, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    read = records()
    for number in range(kills):
        child = os.fork()
        if child == 0:
            asyncio.run(live(path, read, seed=seed + number))
            os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, status

    async def finish() -> None:
        async with opened_store(path) as store:
            await project(store, read, at_a_time=500)

    asyncio.run(finish())


if __name__ == "__main__":
    main()
