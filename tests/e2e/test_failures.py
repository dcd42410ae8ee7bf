"""Nothing lost, nothing started twice, no matter what dies in between."""

import asyncio
import collections
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer

from sluice_runtime.kafka.consumer import partitions_of
from testbed.waiting import wait_until
from tests.support.client import Client
from tests.support.engines import Engine
from tests.support.kafka import KafkaServer, committed, read_all, unique_name
from tests.support.sluice import Sluice, Topic, running_sluice
from tests.support.watching import deletions, run_ids_of, until_leaving

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

# The least that settings allow, and no create here takes as long.
MARGIN = {
    "SLUICE_DEDUPE__LEDGER_FRESHNESS": "2s",
    "SLUICE_DEDUPE__CREATE_TIMEOUT": "2s",
    "SLUICE_DEDUPE__RELEASE_AFTER": "18s",
}
EARLY_RELEASE = {"dispatcher": MARGIN, "status-watcher": MARGIN}
SHORT_LIVED = {
    "dispatcher": {"SLUICE_WORKFLOWS__TTL": "5s", **MARGIN},
    "status-watcher": MARGIN,
}


@pytest.fixture
def mortal(kafka: KafkaServer, engine: Engine, tmp_path: Path) -> Iterator[Sluice]:
    """A Sluice of the test's own, to be killed at will."""
    with running_sluice(kafka, tmp_path, engine=engine, environment=EARLY_RELEASE) as running:
        yield running


@pytest.fixture
def nameless(kafka: KafkaServer, engine: Engine, tmp_path: Path) -> Iterator[Sluice]:
    """A short-lived one whose dispatcher has no name, so that it leaves its group when it stops."""
    dispatcher = {**SHORT_LIVED["dispatcher"], "SLUICE_KAFKA__INSTANCE_ID": ""}
    environment = {**SHORT_LIVED, "dispatcher": dispatcher}
    with running_sluice(kafka, tmp_path, engine=engine, environment=environment) as running:
        yield running


@pytest.fixture
def short_lived(kafka: KafkaServer, engine: Engine, tmp_path: Path) -> Iterator[Sluice]:
    """A Sluice whose Workflows are gone soon after their end."""
    with running_sluice(kafka, tmp_path, engine=engine, environment=SHORT_LIVED) as running:
        yield running


async def post_all(client: Client, run_ids: list[str], *, at_once: int = 20) -> None:
    slots = asyncio.Semaphore(at_once)

    async def post(run_id: str) -> None:
        async with slots:
            await client.accepted({"id": run_id, "workflow": "moment"})

    async with asyncio.TaskGroup() as group:
        for run_id in run_ids:
            group.create_task(post(run_id))


async def test_killed_ten_times_and_nothing_lost_or_double(mortal: Sluice) -> None:
    runs = mortal.engine.many
    run_ids = [unique_name("kill") for _ in range(runs)]
    victims = ["dispatcher", "status-watcher"] * 5
    random.shuffle(victims)
    # Each kill comes when so many outcomes are known: at no moment that anybody chose.
    moments = sorted(random.sample(range(runs - 20), len(victims)))
    print("killing", list(zip(moments, victims, strict=True)))
    outcomes: set[str] = set()
    # Asked for in step with the outcomes, so that every kill meets work of all kinds in hand.
    outstanding = asyncio.Semaphore(80)

    async def post(client: Client) -> None:
        for run_id in run_ids:
            await outstanding.acquire()
            await client.accepted({"id": run_id, "workflow": "moment"})

    async with mortal.client() as client, Topic(mortal.kafka, mortal.topics.results) as results:
        posting = asyncio.create_task(post(client))
        async for record in results.records():
            outcomes.add(json.loads(record.value)["run_id"])
            outstanding.release()
            if moments and len(outcomes) > moments[0]:
                moments.pop(0)
                victim = victims.pop(0)
                mortal.kill(victim)
                await asyncio.to_thread(mortal.start, victim)
            if len(outcomes) == runs:
                break
        await posting
    assert not victims
    async with mortal.workflows() as workflows:
        assert sorted(await run_ids_of(workflows)) == sorted(run_ids)
    results_held = await read_all(mortal.kafka, mortal.topics.results)
    assert len(results_held) == runs
    assert {json.loads(record.value)["phase"] for record in results_held} == {"Succeeded"}
    uids = collections.defaultdict(set)
    for record in await read_all(mortal.kafka, mortal.topics.status):
        event = json.loads(record.value)
        uids[event["run_id"]].add(event["uid"])
    assert uids.keys() == set(run_ids)
    assert all(len(of_a_run) == 1 for of_a_run in uids.values())


async def rewind(sluice: Sluice) -> int:
    """Set the dispatchers' offsets to the beginning; gives how many records are behind it."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=sluice.kafka.bootstrap_servers,
        group_id=sluice.group,
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        partitions = list(await partitions_of(consumer, [sluice.topics.requests]))
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        await consumer.commit(dict.fromkeys(partitions, 0))
    finally:
        await consumer.stop()
    return sum(ends.values())


@pytest.mark.parametrize("ledger_lost", [False, True])
async def test_replays_after_the_workflows_are_gone_start_nothing(
    nameless: Sluice, tmp_path: Path, ledger_lost: bool
) -> None:
    runs = nameless.engine.many
    run_ids = [unique_name("replay") for _ in range(runs)]
    async with nameless.client() as client:
        await post_all(client, run_ids)
        outcomes = set()
        async with Topic(nameless.kafka, nameless.topics.results) as results:
            async for record in results.records():
                outcomes.add(json.loads(record.value)["run_id"])
                if len(outcomes) == runs:
                    break
    async with nameless.workflows() as workflows:
        async for _ in deletions(workflows):
            pass
        assert await run_ids_of(workflows) == []
    nameless.stop("dispatcher")
    before = await read_all(nameless.kafka, nameless.topics.status)
    total = await rewind(nameless)
    assert total == runs
    if ledger_lost:
        for file in (tmp_path / "dispatcher").glob("ledger.sqlite*"):
            file.unlink()
    nameless.start("dispatcher")
    await asyncio.to_thread(
        wait_until,
        lambda: nameless.log("dispatcher").count('"replayed"') == runs,
        what="The end of the replay",
        seconds=180,
    )
    # From here it is no more than a moment: commits go every second.
    async with asyncio.timeout(60):
        while sum((await replayed(nameless)).values()) < total:
            pass
    async with nameless.workflows() as workflows:
        assert await run_ids_of(workflows) == []
    assert await read_all(nameless.kafka, nameless.topics.status) == before
    assert nameless.log("dispatcher").count('"replayed"') == runs


async def replayed(sluice: Sluice) -> dict[int, int]:
    return await committed(sluice.kafka, group=sluice.group, topic=sluice.topics.requests)


async def test_a_workflow_deleted_while_nobody_watches_still_gets_its_end(mortal: Sluice) -> None:
    run_id = unique_name("deleted")
    key = f"default/{run_id}".encode()
    async with mortal.client() as client, Topic(mortal.kafka, mortal.topics.status) as status:
        await client.accepted({"id": run_id, "workflow": "approval"})
        async for record in status.of(key):
            if json.loads(record.value)["phase"] == "Suspended":
                break
        mortal.kill("status-watcher")
        async with mortal.workflows() as workflows:
            page = await workflows.list_page(limit=10, continue_token=None)
            [name] = [workflow["metadata"]["name"] for workflow in page.items]
            await mortal.delete(name)
            assert await run_ids_of(workflows) == [run_id]
            await asyncio.to_thread(mortal.start, "status-watcher")
            assert (await client.events(run_id))[-1]["phase"] == "Deleted"
            async for gone in deletions(workflows):
                assert gone == name
    async with Topic(mortal.kafka, mortal.topics.results) as results:
        async for record in results.of(key):
            assert json.loads(record.value)["phase"] == "Deleted"
            break


async def test_workflows_gone_by_their_ttl_while_nobody_watches_still_get_their_end(
    short_lived: Sluice,
) -> None:
    run_ids = [unique_name("ttl") for _ in range(20)]
    short_lived.stop("status-watcher")
    async with short_lived.client() as client, short_lived.workflows() as workflows:
        await post_all(client, run_ids)
        # They end, and their time passes, while nobody watches: each waits to be let go.
        await until_leaving(workflows, run_ids, count=len(run_ids))
        await asyncio.to_thread(short_lived.start, "status-watcher")
        outcomes = [(await client.events(run_id))[-1]["phase"] for run_id in run_ids]
        assert outcomes == ["Succeeded"] * len(run_ids)
        async for _ in deletions(workflows):
            pass
    results = await read_all(short_lived.kafka, short_lived.topics.results)
    assert len(results) == len(run_ids)
