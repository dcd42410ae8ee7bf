"""A record that can never be valid, from its dead letter to the run of its replay."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from tests.support.client import OUTCOME_SECONDS, Client
from tests.support.kafka import produce, unique_name
from tests.support.sluice import Sluice, Topic

pytestmark = pytest.mark.e2e


async def letter_of(client: Client, run_id: str) -> dict[str, Any]:
    """Return the dead letter of the record that named the run, once it is known."""
    async with asyncio.timeout(OUTCOME_SECONDS):
        while True:
            async with client.http.get("/v1/dead-letters?state=open") as response:
                listed = (await response.json()).get("dead_letters", [])
            for each in listed:
                if each["run"] == {"tenant": "default", "id": run_id}:
                    return dict(each)


async def replay(client: Client, path: str, body: object) -> dict[str, Any]:
    timeout = aiohttp.ClientTimeout(total=OUTCOME_SECONDS)
    async with client.http.post(f"{path}/replay", json=body, timeout=timeout) as response:
        assert response.status == 202, await response.text()
        return dict(await response.json())


async def test_a_dead_letter_becomes_a_run_by_its_replay(sluice: Sluice) -> None:
    run_id = unique_name("typo")
    value = json.dumps({"id": run_id, "workflow": "momemt"}).encode()
    await produce(sluice.kafka, sluice.topics.requests, value, key=b"k", headers=[("a", b"b")])
    async with Topic(sluice.kafka, sluice.topics.results) as topic:
        async for record in topic.of(f"default/{run_id}".encode()):
            assert json.loads(record.value)["phase"] == "Rejected"
            break
    async with sluice.client() as client:
        letter = await letter_of(client, run_id)
        async with client.http.get(letter["links"]["self"]) as response:
            shown = await response.json()
        assert shown["payload"]["value"] == {"encoding": "utf-8", "data": value.decode()}
        assert shown["payload"]["headers"][0]["name"] == "a"
        # It still asks for a workflow that does not exist.
        async with client.http.post(f"{letter['links']['self']}/replay") as response:
            assert response.status == 422
        corrected = {"value": {**json.loads(value), "workflow": "moment"}, "reason": "a typo"}
        replayed = await replay(client, letter["links"]["self"], corrected)
        events = await client.events(replayed["decision"]["run"]["id"])
        assert (events[-1]["phase"], events[-1]["parent"]) == ("Succeeded", run_id)
        async with client.http.post(f"{letter['links']['self']}/replay") as response:
            assert response.status == 409
