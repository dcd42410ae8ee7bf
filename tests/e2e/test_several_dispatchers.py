"""Several dispatchers share keys and weights, while they are killed, suspended, added and removed.

What was live is read from the changes that the API server announced.
"""

import asyncio
import json
import os
import random
import secrets
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sluice_argo import metadata
from tests.support.audit import Audit
from tests.support.client import OUTCOME_SECONDS
from tests.support.engines import Engine
from tests.support.kafka import (
    KafkaServer,
    produce,
    read_all,
    read_count,
    unique_name,
)
from tests.support.sluice import DATA, Sluice, running_sluice
from tests.unit.runtime.clock import pause

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

Json = dict[str, Any]

LIVE = 8
ROUNDS = 6
CATALOGUE = {"SLUICE_WORKFLOWS__CATALOGUE_FILE": str((DATA / "fair-catalogue.yaml").resolve())}


class Dispatchers:
    """Dispatchers of one group; each step leaves at least one that runs."""

    def __init__(self, sluice: Sluice, rng: random.Random) -> None:
        self._sluice = sluice
        self._rng = rng
        self.names = ["dispatcher"]

    async def join(self) -> None:
        """Start another one, which gets partitions of the others."""
        self.names.append(self._sluice.another_dispatcher())
        await asyncio.to_thread(self._sluice.start, self.names[-1])

    async def leave(self) -> None:
        """Stop one for good; the others get its partitions."""
        name = self.names.pop(self._rng.randrange(len(self.names)))
        await asyncio.to_thread(self._sluice.stop, name)

    async def kill(self) -> None:
        """Kill one, and start it again."""
        name = self._rng.choice(self.names)
        self._sluice.kill(name)
        await asyncio.to_thread(self._sluice.start, name)

    async def suspend(self) -> None:
        """Suspend one until others have its partitions; it does not know that when it goes on."""
        name = self._rng.choice(self.names)
        others = [each for each in self.names if each != name]
        before = {each: self.said("partitions assigned", each) for each in others}
        os.kill(self._sluice.child(name).pid, signal.SIGSTOP)
        try:
            await until(
                lambda: all(
                    self.said("partitions assigned", each) > before[each] for each in others
                )
            )
        finally:
            os.kill(self._sluice.child(name).pid, signal.SIGCONT)

    def said(self, message: str, name: str) -> int:
        """Return how many lines of a dispatcher's log have a message."""
        return self._sluice.log(name).count(f'"{message}"')


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what processes write to their logs."""
    async with asyncio.timeout(OUTCOME_SECONDS):
        while not condition():
            await pause(0.1)


@pytest.fixture
def limits(tmp_path: Path) -> Path:
    """A limits file that a test may change."""
    file = tmp_path / "limits.yaml"
    file.write_text(f"live: {LIVE}\n", encoding="utf-8")
    return file


@pytest.fixture
def sluice(kafka: KafkaServer, engine: Engine, tmp_path: Path, limits: Path) -> Iterator[Sluice]:
    """A Sluice of the test's own, with one dispatcher."""
    dispatcher = {**CATALOGUE, "SLUICE_DISPATCH__LIMITS_FILE": str(limits)}
    environment = {"gateway": CATALOGUE, "dispatcher": dispatcher}
    with running_sluice(kafka, tmp_path, engine=engine, environment=environment) as running:
        if not engine.is_local:
            engine.cluster.allow_slots(running.namespace)
        running.apply(DATA / "fair-templates.yaml")
        yield running


def moments(tenant: str, count: int) -> list[Json]:
    return [
        {"id": unique_name(tenant), "workflow": "moment", "tenant": tenant} for _ in range(count)
    ]


def accounts(count: int, *, keys: int) -> list[Json]:
    return [
        {
            "id": unique_name("account"),
            "workflow": "account",
            "tenant": "globex",
            "parameters": {"account": f"a-{number % keys}"},
        }
        for number in range(count)
    ]


async def ask_for(sluice: Sluice, documents: list[Json]) -> None:
    await produce(
        sluice.kafka, sluice.topics.requests, *(json.dumps(d).encode() for d in documents)
    )


async def test_one_run_of_a_key_is_live_whatever_becomes_of_dispatchers(sluice: Sluice) -> None:
    seed = secrets.randbelow(2**32)
    print("seed", seed)
    rng = random.Random(seed)  # noqa: S311 - chooses faults
    dispatchers = Dispatchers(sluice, rng)
    await dispatchers.join()
    documents: list[Json] = []
    steps = [
        dispatchers.kill,
        dispatchers.kill,
        dispatchers.suspend,
        dispatchers.join,
        dispatchers.leave,
    ]
    rng.shuffle(steps)
    while steps.index(dispatchers.leave) < steps.index(dispatchers.join):
        rng.shuffle(steps)
    async with sluice.workflows() as workflows, Audit(workflows).running() as audit:
        for step in [*steps, None]:
            more = accounts(9, keys=3) + moments("acme", 3)
            rng.shuffle(more)
            documents += more
            await ask_for(sluice, more)
            # It happens while most of these, and some of before, wait or are being started.
            await audit.until_created(len(documents) - len(more) + rng.randrange(4))
            if step is not None:
                print(len(audit.created), "created:", step.__name__, dispatchers.names)
                await step()
        await audit.until_nothing_is_live(after=len(documents))
    found = [each["annotations"][metadata.RUN_ID] for each in audit.created]
    assert sorted(found) == sorted(document["id"] for document in documents)
    assert audit.most_live_of_a_key == 1
    await read_count(sluice.kafka, sluice.topics.results, len(documents))
    outcomes = [
        json.loads(each.value) for each in await read_all(sluice.kafka, sluice.topics.results)
    ]
    assert Counter(each["run_id"] for each in outcomes) == Counter(found)
    assert {each["phase"] for each in outcomes} == {"Succeeded"}


async def test_weights_that_change_act_on_what_waits(sluice: Sluice, limits: Path) -> None:
    dispatchers = Dispatchers(sluice, random.Random(0))  # noqa: S311 - not used here
    await dispatchers.join()
    backlog = 120
    both = zip(moments("acme", backlog), moments("globex", backlog), strict=True)
    documents = [document for pair in both for document in pair]
    async with sluice.workflows() as workflows, Audit(workflows).running() as audit:
        await ask_for(sluice, documents)
        await audit.until_created((1 + ROUNDS) * LIVE)
        shares = "tenants: {acme: {weight: 7}, globex: {weight: 1}}"
        changed_limits = f"live: {LIVE}\n{shares}\n"
        await asyncio.to_thread(limits.write_text, changed_limits, encoding="utf-8")
        await until(
            lambda: all(dispatchers.said("file read again", name) for name in dispatchers.names)
        )
        changed = len(audit.created)
        await audit.until_created(changed + ROUNDS * LIVE)
    tenants = audit.tenants()
    before = Counter(tenants[LIVE : (1 + ROUNDS) * LIVE])
    after = Counter(tenants[changed : changed + ROUNDS * LIVE])
    print(before, after)
    # A half is the share of each. One dispatcher sees late what the other starts.
    assert min(before["acme"], before["globex"]) > ROUNDS * LIVE * 3 // 8
    # An eighth is the share of globex. In a round of eight starts, both dispatchers may see that it
    # has no live run, and start one. Each of the two earns half a run of credit in a round.
    assert 0 < after["globex"] <= ROUNDS * LIVE * 3 // 8
    # Both had requests that waited, all the time.
    assert max(Counter(tenants).values()) < backlog
