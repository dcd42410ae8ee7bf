"""Tenants share live runs, and a key has one live run, whatever is killed.

What was live is read from the changes that the API server announced.
"""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from sluice_argo import metadata
from tests.support.audit import Audit
from tests.support.client import Client
from tests.support.engines import Engine
from tests.support.kafka import KafkaServer, read_all, unique_name
from tests.support.sluice import DATA, Sluice, Topic, running_sluice

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

Json = dict[str, Any]

LIVE = 4
CONTROLS = unique_name("controls")
CATALOGUE = {"SLUICE_WORKFLOWS__CATALOGUE_FILE": str((DATA / "fair-catalogue.yaml").resolve())}


@pytest.fixture
def limited(kafka: KafkaServer, engine: Engine, tmp_path: Path) -> Iterator[Sluice]:
    """A Sluice of the test's own, with a limit of live runs."""
    limits = tmp_path / "limits.yaml"
    limits.write_text(f"live: {LIVE}\n", encoding="utf-8")
    environment = {
        "gateway": CATALOGUE,
        "dispatcher": {
            **CATALOGUE,
            "SLUICE_DISPATCH__LIMITS_FILE": str(limits),
            "SLUICE_KAFKA__CONTROLS_TOPIC": CONTROLS,
        },
    }
    with running_sluice(kafka, tmp_path, engine=engine, environment=environment) as running:
        if not engine.is_local:
            engine.cluster.allow_slots(running.namespace)
        running.apply(DATA / "fair-templates.yaml")
        yield running


async def post_all(client: Client, documents: list[Json]) -> None:
    slots = asyncio.Semaphore(20)

    async def post(document: Json) -> None:
        async with slots:
            await client.accepted(document)

    async with asyncio.TaskGroup() as group:
        for document in documents:
            group.create_task(post(document))


def moments(tenant: str, count: int) -> list[Json]:
    return [
        {"id": unique_name(tenant), "workflow": "moment", "tenant": tenant} for _ in range(count)
    ]


async def test_another_tenant_s_backlog_delays_a_first_run_by_the_bound_only(
    limited: Sluice,
) -> None:
    backlog = 60
    async with (
        limited.workflows() as workflows,
        Audit(workflows).running() as audit,
        limited.client() as client,
    ):
        await post_all(client, moments("acme", backlog))
        await audit.until_created(LIVE)
        await client.accepted(moments("globex", 1)[0])
        before = len(audit.created)
        await audit.until_nothing_is_live(after=backlog + 1)
    place = audit.tenants().index("globex")
    print(f"{place - before} starts before it, of {backlog - before} that waited")
    # The bound is 4: 2 weights of 1, and 2 tenants. A few more may start until it has been read.
    assert place - before <= 4 + 2 * LIVE < backlog - before
    assert audit.most_live == LIVE


async def test_killed_dispatchers_lose_and_double_nothing_and_keep_keys_exact(
    limited: Sluice,
) -> None:
    documents = moments("acme", 20) + [
        {
            "id": unique_name("account"),
            "workflow": "account",
            "tenant": "globex",
            "parameters": {"account": f"a-{number % 3}"},
        }
        for number in range(18)
    ]
    random.shuffle(documents)
    kills = sorted(random.sample(range(5, len(documents) - 5), 5))
    print("killing at", kills)
    async with (
        limited.workflows() as workflows,
        Audit(workflows).running() as audit,
        limited.client() as client,
    ):
        await post_all(client, documents)
        for count in kills:
            await audit.until_created(count)
            limited.kill("dispatcher")
            await asyncio.to_thread(limited.start, "dispatcher")
        await audit.until_nothing_is_live(after=len(documents))
    found = [each["annotations"][metadata.RUN_ID] for each in audit.created]
    assert sorted(found) == sorted(document["id"] for document in documents)
    assert audit.most_live_of_a_key == 1
    # A create of a dispatcher that was killed may land after the next one has counted.
    assert audit.most_live <= 2 * LIVE
    events = [
        json.loads(each.value) for each in await read_all(limited.kafka, limited.topics.results)
    ]
    assert {event["phase"] for event in events} == {"Succeeded"}


async def test_a_pause_holds_runs_through_a_kill_until_it_ends(limited: Sluice) -> None:
    async with (
        limited.workflows() as workflows,
        Audit(workflows).running() as audit,
        limited.client() as client,
        producing(limited) as producer,
    ):
        value = b'{"state": "paused", "reason": "migration", "by": "user:ada"}'
        await producer.send_and_wait(CONTROLS, value, key=b"tenant/acme")
        # A dispatcher reads the topic whole before it starts anything.
        limited.kill("dispatcher")
        await asyncio.to_thread(limited.start, "dispatcher")
        [paused, other] = [*moments("acme", 1), *moments("globex", 1)]
        await client.accepted(paused)
        await client.accepted(other)
        await audit.until_created(1)
        detail = await queued_detail(limited, paused["id"])
        assert detail == "The tenant acme is paused by user:ada: migration"
        assert audit.tenants() == ["globex"]
        await producer.send_and_wait(CONTROLS, b'{"state": "running"}', key=b"tenant/acme")
        await audit.until_created(2)
    assert audit.tenants() == ["globex", "acme"]


@contextlib.asynccontextmanager
async def producing(sluice: Sluice) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=sluice.kafka.bootstrap_servers)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def queued_detail(sluice: Sluice, run_id: str) -> str:
    """Return what the first notice says of a request that waits."""
    async with Topic(sluice.kafka, sluice.topics.status) as status:
        async for record in status.records():
            value = json.loads(record.value)
            if value["run_id"] == run_id and "held_by" in value:
                assert value["held_by"] == "paused"
                return str(value["detail"])
    raise AssertionError("the topic has an end")
