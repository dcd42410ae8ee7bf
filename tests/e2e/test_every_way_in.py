"""One id over every way in, in random order, while the services are killed: one Workflow."""

import asyncio
import collections
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import ClientConnectionError

from tests.support.client import Client
from tests.support.engines import Engine
from tests.support.kafka import KafkaServer, committed, produce, read_all, unique_name
from tests.support.sluice import Sluice, running_sluice
from tests.support.watching import run_ids_of
from tests.support.ways_in import WAYS, KafkaRecord, Way, asked, run_id_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

# The least that settings allow, and no create here takes as long.
MARGIN = {
    "SLUICE_DEDUPE__LEDGER_FRESHNESS": "2s",
    "SLUICE_DEDUPE__CREATE_TIMEOUT": "2s",
    "SLUICE_DEDUPE__RELEASE_AFTER": "18s",
}
RECORD_WAYS = [way for way in WAYS if way.endswith("record")]


@pytest.fixture
def mortal(kafka: KafkaServer, engine: Engine, tmp_path: Path) -> Iterator[Sluice]:
    """A Sluice of the test's own, to be killed at will."""
    environment = {"dispatcher": MARGIN, "status-watcher": MARGIN}
    with running_sluice(kafka, tmp_path, engine=engine, environment=environment) as running:
        yield running


async def ask(sluice: Sluice, client: Client, way: Way, event: str, *, name: str) -> None:
    """Ask for the run of the event, until there is an answer; other content may be refused."""
    request = asked(way, {"workflow": "hello", "parameters": {"name": name}}, event=event)
    if isinstance(request, KafkaRecord):
        await produce(
            sluice.kafka,
            sluice.topics.requests,
            json.dumps(request.value).encode(),
            headers=tuple((name, text.encode()) for name, text in request.headers.items()),
        )
        return
    body = json.dumps(request.body).encode()
    headers = {"Content-Type": request.media_type, **request.headers}
    async with asyncio.timeout(120):
        while True:
            try:
                async with client.http.post(request.path, data=body, headers=headers) as answer:
                    assert answer.status in (200, 202, 207, 409, 422, 503), await answer.text()
                    if answer.status != 503:
                        return
            except ClientConnectionError:
                # The gateway was killed: a client cannot know whether the request was taken.
                continue


async def until_all_is_finished(sluice: Sluice) -> None:
    """Wait until the dispatcher has committed every request."""
    records = await read_all(sluice.kafka, sluice.topics.requests)
    written = collections.Counter(record.partition for record in records)
    async with asyncio.timeout(120):
        while await committed(sluice.kafka, group=sluice.group, topic=sluice.topics.requests) != {
            **written
        }:
            pass


async def test_one_id_is_one_workflow(mortal: Sluice) -> None:
    """Each run is asked for in every way, with two contents, and everything is killed meanwhile."""
    events = [unique_name("order") for _ in range(4)]
    requests = [(way, event, name) for way in WAYS for event in events for name in ("Ada", "Bob")]
    random.shuffle(requests)
    victims = ["dispatcher", "gateway", "status-watcher", "dispatcher"]
    share = len(requests) // len(victims)
    async with mortal.client() as client:
        for number, victim in enumerate(victims):
            some = requests[number * share : (number + 1) * share]
            asking = asyncio.gather(
                *(ask(mortal, client, way, event, name=name) for way, event, name in some)
            )
            mortal.kill(victim)
            await asyncio.to_thread(mortal.start, victim)
            await asking
        outcomes = [(await client.events(run_id_of(event)))[-1] for event in events]
    assert {outcome["phase"] for outcome in outcomes} == {"Succeeded"}
    await until_all_is_finished(mortal)
    async with mortal.workflows() as workflows:
        assert sorted(await run_ids_of(workflows)) == sorted(map(run_id_of, events))
    uids, refused = collections.defaultdict(set), 0
    for record in await read_all(mortal.kafka, mortal.topics.status):
        value = json.loads(record.value)
        if dict(record.headers)["ce_type"] == b"sluice.request.refused":
            refused += 1
        elif "uid" in value:
            uids[value["run_id"]].add(value["uid"])
    assert {run_id: len(found) for run_id, found in uids.items()} == {
        run_id_of(event): 1 for event in events
    }
    # Every record with the other content is refused; over HTTP the gateway may do it.
    assert refused >= len(RECORD_WAYS) * len(events)
