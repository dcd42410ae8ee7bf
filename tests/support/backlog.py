"""A tenant's backlog on a real Kafka, and single runs of others, while dispatchers are killed.

Two dispatchers are processes; `CountingCluster` stands in for the cluster. The tenant `large` has
its backlog on the shared topic. `globex` has topics of its own. `initech` is on the shared topic,
with its request among the first; `far` has one behind all others.
"""

import asyncio
import json
import random
import re
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from tests.support.counting_cluster import CountingCluster, Created
from tests.support.engines import running_engine
from tests.support.kafka import KafkaServer, committed, read_all
from tests.support.matrix import LOCAL
from tests.support.sluice import DATA, Sluice
from tests.unit.runtime.clock import pause

__all__ = ["BOUND", "Backlog", "Findings"]

Json = dict[str, Any]

NEAR: Final = 500
"""Requests of `large` in front of that of `initech`: a dispatcher holds more than these."""
BOUND: Final = 3 + 3
"""Starts that a tenant without a live run waits for, of three of equal weight: docs/fairness.md."""
_WAIT_S: Final = 120.0
_HELD = re.compile(r'^sluice_dispatcher_held_requests\{tenant="([^"]+)"\} ([0-9.]+)$', re.MULTILINE)


@dataclass(kw_only=True)
class Findings:
    """What became of a backlog; `waits` are the starts that single runs waited for, by their ids.

    Starts count from when a request may start, and only those of the dispatcher that holds it. Of
    them, up to `live` were decided before, and their creates are still on their way.
    """

    seconds: float = 0.0
    created: list[Created] = field(default_factory=list)
    expected: set[str] = field(default_factory=set)
    uncommitted: int = 0
    outcomes: int = 0
    waits: dict[str, int] = field(default_factory=dict)
    overtaken: int = 0
    """Requests of `large` in front of that of `far`, on its partition, which started later."""
    most_live: int = 0

    @property
    def doubled(self) -> list[str]:
        """The runs with more than one Workflow."""
        counts = Counter(each.run_id for each in self.created)
        return [run_id for run_id, count in counts.items() if count > 1]

    @property
    def lost(self) -> set[str]:
        """The runs without a Workflow."""
        return self.expected - {each.run_id for each in self.created}


class Backlog:
    """One backlog of `requests`, at most `live` live runs of `run_seconds`, and `kills` kills."""

    def __init__(
        self,
        kafka: KafkaServer,
        folder: Path,
        *,
        requests: int,
        live: int,
        run_seconds: float,
        kills: int,
        seed: int,
    ) -> None:
        self._kafka = kafka
        self._folder = folder
        self._requests = requests
        self._live = live
        self._rng = random.Random(seed)  # noqa: S311 - chooses what is killed, and when
        self._kills = kills
        self._cluster = CountingCluster(run_seconds=run_seconds)
        self._limits = folder / "limits.yaml"
        self._found = Findings()

    async def run(self) -> Findings:
        """Work the backlog off, and return what was seen."""
        async with self._cluster.running():
            sluice, names = self._dispatchers()
            try:
                await self._work_off(sluice, names)
            finally:
                await asyncio.to_thread(sluice.stop)
        return self._found

    def _dispatchers(self) -> tuple[Sluice, list[str]]:
        kubeconfigs = [
            str(self._cluster.kubeconfig(self._folder, client=client)) for client in ("0", "1")
        ]
        first = {
            "SLUICE_KUBERNETES__KUBECONFIG": kubeconfigs[0],
            "SLUICE_KAFKA__DOORS": json.dumps([{"name": "globex", "tenants": ["globex"]}]),
            "SLUICE_DISPATCH__LIMITS_FILE": str(self._limits),
            "SLUICE_WORKFLOWS__CATALOGUE_FILE": str((DATA / "fair-catalogue.yaml").resolve()),
        }
        sluice = Sluice(
            self._kafka,
            self._folder,
            engine=running_engine(LOCAL),
            environment={"dispatcher": first},
        )
        second = sluice.another_dispatcher(SLUICE_KUBERNETES__KUBECONFIG=kubeconfigs[1])
        return sluice, ["dispatcher", second]

    async def _work_off(self, sluice: Sluice, names: list[str]) -> None:
        self._write_limits(paused=True)
        await asyncio.to_thread(sluice.start, *names)
        began = time.monotonic()
        await self._ask_for_all(sluice)
        for tenant in ("globex", "initech"):
            await self._until(partial(_holds_one, sluice, names, tenant))
        seen = {name: _said(sluice, name, "file read again") for name in names}
        self._write_limits(paused=False)
        await self._until(
            lambda: all(_said(sluice, name, "file read again") > seen[name] for name in names)
        )
        # They may start since a moment before, so this is not later than they may.
        since = len(self._cluster.created)
        await self._kill_at_random(sluice, names, since=since)
        async with asyncio.timeout(_WAIT_S + self._requests / 20):
            await self._cluster.until_created(len(self._found.expected))
        self._found.seconds = time.monotonic() - began
        await self._until_committed(sluice)
        self._note(since)
        topics = sluice.topics
        events = await read_all(self._kafka, topics.results, topics.dlq)
        self._found.outcomes = len(events)

    async def _kill_at_random(self, sluice: Sluice, names: list[str], *, since: int) -> None:
        room = range(
            since + 10 * self._live, max(since + 11 * self._live, self._requests * 9 // 10)
        )
        for count in sorted(self._rng.sample(room, self._kills)):
            async with asyncio.timeout(_WAIT_S + self._requests / 20):
                await self._cluster.until_created(count)
            name = self._rng.choice(names)
            sluice.kill(name)
            await asyncio.to_thread(sluice.start, name)

    async def _ask_for_all(self, sluice: Sluice) -> None:
        shared, own = sluice.topics.requests, f"{sluice.topics.requests}.globex"
        large = [f"large-{number}" for number in range(self._requests)]
        asked = [
            *((shared, "large", run_id) for run_id in large[:NEAR]),
            (shared, "initech", "initech"),
            (own, "globex", "globex"),
            *((shared, "large", run_id) for run_id in large[NEAR:]),
            (shared, "far", "far"),
        ]
        self._found.expected = {run_id for _, _, run_id in asked}
        producer = AIOKafkaProducer(
            bootstrap_servers=self._kafka.bootstrap_servers, acks="all", linger_ms=5
        )
        await producer.start()
        try:
            for topic, tenant, run_id in asked:
                document = {"id": run_id, "workflow": "moment", "tenant": tenant}
                await producer.send(topic, json.dumps(document).encode(), key=run_id.encode())
            await producer.flush()
        finally:
            await producer.stop()

    def _write_limits(self, *, paused: bool) -> None:
        held = "{paused: until it is known to be held}" if paused else "{}"
        text = (
            f"live: {self._live}\n"
            f"tenants: {{large: {{}}, far: {{}}, globex: {held}, initech: {held}}}\n"
        )
        new = self._limits.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.replace(self._limits)

    async def _until_committed(self, sluice: Sluice) -> None:
        """Wait until the group has committed every request."""
        async with asyncio.timeout(_WAIT_S):
            while True:
                done = 0
                for topic in (sluice.topics.requests, f"{sluice.topics.requests}.globex"):
                    offsets = await committed(self._kafka, group=sluice.group, topic=topic)
                    done += sum(offsets.values())
                self._found.uncommitted = len(self._found.expected) - done
                if not self._found.uncommitted:
                    return
                await pause(0.2)

    def _note(self, since: int) -> None:
        created = self._found.created = self._cluster.created
        self._found.most_live = self._cluster.most_live
        places = {each.run_id: place for place, each in enumerate(created)}
        for run_id in ("globex", "initech"):
            place = places[run_id]
            holder = created[place].by
            before = created[since:place]
            self._found.waits[run_id] = sum(each.by == holder for each in before)
        if "far" in places:
            far = created[places["far"]]
            partition = far.request.rpartition("@")[0]
            later = created[places["far"] + 1 :]
            self._found.overtaken = sum(
                each.tenant == "large" and each.request.rpartition("@")[0] == partition
                for each in later
            )

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(_WAIT_S):
            while not await asyncio.to_thread(condition):
                await pause(0.1)


def _said(sluice: Sluice, name: str, message: str) -> int:
    return sluice.log(name).count(f'"{message}"')


def _holds_one(sluice: Sluice, names: Iterable[str], tenant: str) -> bool:
    """Return whether these dispatchers hold a request of a tenant."""
    count = 0
    for name in names:
        with urllib.request.urlopen(f"{sluice.endpoints.health_url(name)}/metrics") as answer:  # noqa: S310 - loopback
            held = dict(_HELD.findall(answer.read().decode()))
        count += int(float(held.get(tenant, "0")))
    return count == 1
