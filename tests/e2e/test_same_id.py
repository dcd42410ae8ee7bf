"""Same id, same content: the same run. Same id, other content: refused, never a second run."""

import asyncio
import json

import pytest

from tests.support.kafka import produce, unique_name
from tests.support.sluice import Sluice, Topic

pytestmark = pytest.mark.e2e


async def test_fifty_posts_at_once_are_one_run(sluice: Sluice) -> None:
    run_id = unique_name("fifty")
    document = {"id": run_id, "workflow": "hello", "parameters": {"name": "Ada"}}
    async with sluice.client() as client:
        answers = await asyncio.gather(*(client.post(document) for _ in range(50)))
        assert {status for status, _ in answers} <= {200, 202}
        assert {(body["id"], body["workflow_name"]) for _, body in answers} == {
            (run_id, answers[0][1]["workflow_name"])
        }
        events = await client.events(run_id)
        assert len({event["uid"] for event in events}) == 1
        assert (await client.post(document))[0] == 200


@pytest.mark.parametrize("by_header", [False, True])
async def test_other_content_under_a_used_id_is_a_conflict(sluice: Sluice, by_header: bool) -> None:
    run_id = unique_name("conflict")
    async with sluice.client() as client:
        first = await client.outcome(
            {"id": run_id, "workflow": "hello", "parameters": {"name": "Ada"}}
        )
        other = {"workflow": "hello", "parameters": {"name": "Bob"}}
        if by_header:
            status, body = await client.post(other, **{"Idempotency-Key": f'"{run_id}"'})
        else:
            status, body = await client.post({"id": run_id, **other})
        assert status == (422 if by_header else 409)
        assert body["type"].endswith("idempotency-key-reused" if by_header else "id-conflict")
        async with client.http.get(f"/v1/runs/{run_id}") as response:
            state = await response.json()
    assert (state["uid"], state["outputs"]) == (first["uid"], {"greeting": "Hello, Ada!"})


async def test_other_content_on_kafka_is_refused_and_the_run_untouched(sluice: Sluice) -> None:
    run_id = unique_name("conflict")
    key = f"default/{run_id}".encode()
    mark = unique_name("mark").encode()
    async with sluice.client() as client:
        await client.accepted({"id": run_id, "workflow": "approval"})
        async with Topic(sluice.kafka, sluice.topics.status) as topic:
            async for record in topic.of(key):
                if json.loads(record.value)["phase"] == "Suspended":
                    break
        other = json.dumps({"id": run_id, "workflow": "hello"}).encode()
        await produce(sluice.kafka, sluice.topics.requests, other, key=mark)
        async with Topic(sluice.kafka, sluice.topics.dlq) as topic:
            async for letter in topic.of(mark):
                assert letter.value == other
                assert dict(letter.headers)["sluice_reason"].endswith(b":id-conflict")
                break
        async with Topic(sluice.kafka, sluice.topics.status) as topic:
            async for record in topic.of(key):
                kind = dict(record.headers)["ce_type"]
                if kind == b"sluice.request.refused":
                    break
        async with client.http.get(f"/v1/runs/{run_id}") as response:
            state = await response.json()
        assert (state["workflow"], state["phase"]) == ("approval", "Suspended")
        resume = json.dumps({"type": "resume", "id": run_id}).encode()
        await produce(sluice.kafka, sluice.topics.requests, resume)
        assert (await client.events(run_id))[-1]["phase"] == "Succeeded"
