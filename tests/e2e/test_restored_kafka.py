"""Kafka's data is lost and restored from a snapshot, as docs/backup.md says.

The snapshot is what a disk has after a crash: it is copied while the broker stands still. The
group's offsets are copied later than the rest, because the snapshots of a cluster's volumes are not
of one moment. Ledger and view keep their files, which know more than the restored topics.
"""

import asyncio
import collections
import itertools
import json
import os
import shutil
import signal
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sluice_argo import metadata
from sluice_argo.json_patch import annotation, remove
from sluice_local.kafka import EmbeddedKafka
from tests.support.client import Client
from tests.support.engines import Engine
from tests.support.kafka import committed, produce, read_all, unique_name
from tests.support.sluice import Sluice, Topic, running_sluice

pytestmark = [pytest.mark.e2e, pytest.mark.upheaval, pytest.mark.timeout(300)]

Json = dict[str, Any]

SECONDS = 120
SERVICES = ("gateway", "dispatcher", "status-watcher")
MARGIN = {
    "SLUICE_DEDUPE__LEDGER_FRESHNESS": "2s",
    "SLUICE_DEDUPE__CREATE_TIMEOUT": "2s",
    "SLUICE_DEDUPE__RELEASE_AFTER": "18s",
}
GROUP_OFFSETS = "__consumer_offsets-*"


class Volume:
    """The volume of a broker, and its snapshot."""

    def __init__(self, kafka: EmbeddedKafka, *, snapshot: Path) -> None:
        self.kafka = kafka
        self._data, self._snapshot = kafka.log_dir, snapshot

    def take_snapshot(self, pattern: str = "*") -> None:
        """Copy what the broker has written of these logs, while it stands still."""
        self._snapshot.mkdir(exist_ok=True)
        os.kill(self.kafka.process.pid, signal.SIGSTOP)
        try:
            for source in self._data.glob(pattern):
                target = self._snapshot / source.name
                shutil.rmtree(target, ignore_errors=True)
                copy = shutil.copytree if source.is_dir() else shutil.copy2
                copy(source, target)
        finally:
            os.kill(self.kafka.process.pid, signal.SIGCONT)

    def lose(self) -> None:
        """Kill the broker, and delete its data."""
        self.kafka.kill_for_test()
        shutil.rmtree(self._data)

    def restore(self) -> None:
        """Start the broker on what the snapshot has."""
        shutil.copytree(self._snapshot, self._data)
        self.kafka.start_sync()


@pytest.fixture
def volume(own_kafka: EmbeddedKafka, tmp_path: Path) -> Volume:
    """The volume of a broker that runs."""
    own_kafka.start_sync()
    return Volume(own_kafka, snapshot=tmp_path / "snapshot")


@pytest.fixture
def sluice(volume: Volume, engine: Engine, tmp_path: Path) -> Iterator[Sluice]:
    """A Sluice on that broker."""
    environment = {"dispatcher": MARGIN, "status-watcher": MARGIN}
    with running_sluice(
        volume.kafka, tmp_path / "sluice", engine=engine, environment=environment
    ) as running:
        yield running


async def ask_for(client: Client, workflow: str, *, count: int) -> set[str]:
    """Start runs; give their ids, which begin with the name of the workflow."""
    run_ids = {unique_name(workflow) for _ in range(count)}
    for run_id in run_ids:
        await ask_again(client, run_id)
    return run_ids


async def ask_again(client: Client, run_id: str) -> None:
    await client.accepted({"id": run_id, "workflow": run_id.partition("-")[0]})


async def until_phase(sluice: Sluice, run_ids: set[str], phase: str) -> None:
    left = set(run_ids)
    async with Topic(sluice.kafka, sluice.topics.status) as topic:
        async for record in topic.records():
            event = json.loads(record.value)
            if event.get("phase") == phase:
                left.discard(event["run_id"])
            if not left:
                return


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(SECONDS):
        while not await holds():
            pass


async def records_of(sluice: Sluice, topic: str) -> dict[int, int]:
    """Give the number of records by partition, where there are any."""
    records = await read_all(sluice.kafka, topic)
    return dict(collections.Counter(record.partition for record in records))


async def committed_of(sluice: Sluice) -> dict[int, int]:
    return await committed(sluice.kafka, group=sluice.group, topic=sluice.topics.requests)


async def until_all_is_committed(sluice: Sluice) -> None:
    async def holds() -> bool:
        requests, at = await records_of(sluice, sluice.topics.requests), await committed_of(sluice)
        # The group stays ahead of a partition that lost all its requests, until there is another.
        return {partition: at.get(partition) for partition in requests} == requests

    await until(holds)


async def until_marked(sluice: Sluice, run_ids: set[str]) -> None:
    """Wait until the outcomes of these runs are published, by their Workflows."""

    async def holds() -> bool:
        now = await workflows_of(sluice)
        return all(metadata.PUBLISHED in now[run_id]["annotations"] for run_id in run_ids)

    await until(holds)


async def workflows_of(sluice: Sluice) -> dict[str, Json]:
    """Give the metadata of all Workflows by run id."""
    async with sluice.workflows() as workflows:
        page = await workflows.list_page(limit=500, continue_token=None)
    found = [workflow["metadata"] for workflow in page.items]
    by_run = {each["annotations"][metadata.RUN_ID]: each for each in found}
    assert len(by_run) == len(found)
    return by_run


async def delete(sluice: Sluice, run_ids: set[str]) -> None:
    """Delete Workflows, as their TTL does, and wait until they are gone."""
    for run_id, each in (await workflows_of(sluice)).items():
        if run_id in run_ids:
            await sluice.delete(each["name"])

    async def holds() -> bool:
        return not (await workflows_of(sluice)).keys() & run_ids

    await until(holds)


async def forget_marks(sluice: Sluice) -> set[str]:
    """Remove the marks of published outcomes; give the runs that had one."""
    marked = {
        run_id: each["name"]
        for run_id, each in (await workflows_of(sluice)).items()
        if metadata.PUBLISHED in each["annotations"]
    }
    if sluice.engine.is_local:
        # It does not know all requests of kubectl.
        async with sluice.workflows() as workflows:
            for name in marked.values():
                await workflows.patch(name, [remove(annotation(metadata.PUBLISHED))])
    else:
        kubectl = sluice.engine.cluster.kubectl().within(sluice.namespace)
        selector = f"--selector={metadata.SELECTOR}"
        kubectl("annotate", "workflows", selector, f"{metadata.PUBLISHED}-")
    return set(marked)


@dataclass(kw_only=True)
class Runs:
    """The ids of runs, by what the snapshot has of them."""

    forgotten: set[str]
    """Request and outcome; the Workflow is gone."""
    ended: set[str]
    """Request and outcome."""
    waiting: set[str]
    """The request; the run goes on."""
    ended_later: set[str]
    """Nothing."""
    waiting_later: set[str]
    """Nothing; the run goes on."""
    lost: set[str]
    """Nothing; there is no Workflow either."""

    def __iter__(self) -> Iterator[str]:
        return itertools.chain(*vars(self).values())


async def run_until_the_loss(sluice: Sluice, volume: Volume) -> Runs:
    """Start all kinds of runs, with the snapshot in between."""
    async with sluice.client() as client:
        forgotten = await ask_for(client, "moment", count=6)
        await until_phase(sluice, forgotten, "Succeeded")
        going = asyncio.create_task(delete(sluice, forgotten))
        ended = await ask_for(client, "moment", count=6)
        waiting = await ask_for(client, "approval", count=3)
        await until_phase(sluice, ended, "Succeeded")
        await until_phase(sluice, waiting, "Suspended")
        volume.take_snapshot()
        ended_later = await ask_for(client, "moment", count=6)
        waiting_later = await ask_for(client, "approval", count=3)
        await until_phase(sluice, ended_later, "Succeeded")
        await until_phase(sluice, waiting_later, "Suspended")
        await until_all_is_committed(sluice)
        await until_marked(sluice, ended | ended_later)
        volume.take_snapshot(GROUP_OFFSETS)
        await going
        sluice.stop("dispatcher")
        lost = await ask_for(client, "moment", count=3)
    return Runs(
        forgotten=forgotten,
        ended=ended,
        waiting=waiting,
        ended_later=ended_later,
        waiting_later=waiting_later,
        lost=lost,
    )


async def restore(sluice: Sluice, volume: Volume, runs: Runs) -> None:
    """Do what docs/backup.md says."""
    sluice.stop(*SERVICES)
    volume.lose()
    await asyncio.to_thread(volume.restore)
    kept = runs.forgotten | runs.ended | runs.waiting
    assert sum((await records_of(sluice, sluice.topics.requests)).values()) == len(kept)
    assert sum((await records_of(sluice, sluice.topics.results)).values()) == len(
        runs.forgotten | runs.ended
    )
    # The group is ahead of the topic.
    assert sum((await committed_of(sluice)).values()) == len(
        kept | runs.ended_later | runs.waiting_later
    )
    assert await forget_marks(sluice) == runs.ended | runs.ended_later
    await asyncio.to_thread(sluice.start, "status-watcher")
    await until_marked(sluice, runs.ended | runs.ended_later)
    await asyncio.to_thread(sluice.start, "dispatcher")
    await until_all_is_committed(sluice)
    await asyncio.to_thread(sluice.start, "gateway")


async def outcomes_of(sluice: Sluice, run_ids: set[str]) -> dict[str, Json]:
    """Wait for the outcome of each run on the results topic; there must be one of each."""
    outcomes: dict[str, Json] = {}
    async with Topic(sluice.kafka, sluice.topics.results) as results:
        async for record in results.records():
            outcome = json.loads(record.value)
            assert outcome["run_id"] not in outcomes
            outcomes[outcome["run_id"]] = outcome
            if outcomes.keys() == run_ids:
                break
    return outcomes


async def test_no_run_is_lost_or_started_twice(sluice: Sluice, volume: Volume) -> None:
    runs = await run_until_the_loss(sluice, volume)
    before = await workflows_of(sluice)
    assert before.keys() == set(runs) - runs.forgotten - runs.lost
    await restore(sluice, volume, runs)
    async with sluice.client() as client:
        # The clients do not know what is lost, and repeat everything.
        for run_id in runs:
            await ask_again(client, run_id)
        await until_all_is_committed(sluice)
        for run_id in runs.waiting | runs.waiting_later:
            command = json.dumps({"type": "resume", "id": run_id}).encode()
            await produce(
                sluice.kafka, sluice.topics.requests, command, key=f"default/{run_id}".encode()
            )
        outcomes = await outcomes_of(sluice, set(runs))
        shown = {run_id: (await client.events(run_id))[-1] for run_id in runs}
    assert {outcome["phase"] for outcome in outcomes.values()} == {"Succeeded"}
    uids = {run_id: outcome["uid"] for run_id, outcome in outcomes.items()}
    assert {run_id: event["uid"] for run_id, event in shown.items()} == uids
    after = await workflows_of(sluice)
    assert after.keys() == before.keys() | runs.lost
    for run_id, each in after.items():
        assert each["uid"] == uids[run_id] == before.get(run_id, each)["uid"]
    for record in await read_all(sluice.kafka, sluice.topics.status):
        event = json.loads(record.value)
        assert event["uid"] == uids[event["run_id"]]
