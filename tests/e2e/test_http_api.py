"""What the HTTP API offers, over the whole pipeline."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from sluice_contracts.ids import derive_run_id
from tests.support.client import Client
from tests.support.kafka import produce, unique_name
from tests.support.sluice import Sluice

pytestmark = pytest.mark.e2e

HELLO = {"workflow": "hello", "parameters": {"name": "Ada"}}


async def get(client: Client, path: str) -> tuple[int, dict[str, Any]]:
    """GET a document."""
    async with client.http.get(path) as response:
        return response.status, await response.json(content_type=None)


async def post(
    client: Client, path: str, body: object = None, **headers: str
) -> tuple[int, dict[str, Any]]:
    """POST a document; underscores in header names become dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.http.post(path, json=body, headers=named) as response:
        return response.status, await response.json(content_type=None)


async def outcome(client: Client, run_id: str) -> dict[str, Any]:
    """Wait for the outcome of a run."""
    while True:
        status, state = await get(client, f"/v1/runs/{run_id}/outcome?wait=55")
        if status == 200:
            return state
        assert status == 202, state


async def lines(client: Client, path: str, **headers: str) -> AsyncGenerator[dict[str, Any]]:
    """Follow a stream as NDJSON, past its keepalives."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    accepted = {"Accept": "application/x-ndjson", **named}
    async with client.http.get(path, headers=accepted) as response:
        assert response.status == 200, await response.text()
        async for line in response.content:
            event = json.loads(line)
            if event["data"] is not None:
                yield event


async def suspended(client: Client, run_id: str) -> dict[str, Any]:
    """Follow a run until it is suspended; return that event."""
    async with aclosing(lines(client, f"/v1/runs/{run_id}/events")) as events:
        async for event in events:
            if event["data"]["phase"] == "Suspended":
                found: dict[str, Any] = event["data"]
                return found
    raise AssertionError("The stream has ended.")


async def test_an_approval_is_answered_over_http(sluice: Sluice) -> None:
    run_id = unique_name("approval")
    async with sluice.client() as client:
        await client.accepted(
            {"id": run_id, "workflow": "approval", "parameters": {"reason": "a new printer"}}
        )
        [waiting] = (await suspended(client, run_id))["waiting_for"]
        _, inbox = await get(client, f"/v1/runs?phase=Suspended&q={run_id}")
        assert [run["id"] for run in inbox["runs"]] == [run_id]
        status, command = await post(
            client,
            f"/v1/runs/{run_id}/resume",
            {
                "step": waiting["step"],
                "values": {"decision": "approve", "comment": "fine"},
                "reason": "asked by mail",
            },
        )
        assert status == 202, command
        assert command["request"].startswith(f"{sluice.topics.requests}/")
        ended = await outcome(client, run_id)
    assert ended["phase"] == "Succeeded", ended
    assert (ended["outputs"]["decision"], ended["outputs"]["comment"]) == ("approve", "fine")
    assert (ended["last_command"]["type"], ended["last_command"]["reason"]) == (
        "resume",
        "asked by mail",
    )


async def test_a_batch_is_followed_listed_and_counted(sluice: Sluice) -> None:
    name = unique_name("batch")
    run_ids = [f"{name}-{number}" for number in range(5)]
    body = "\n".join(
        json.dumps({"id": run_id, "labels": {"batch": name}, **HELLO}) for run_id in run_ids
    )
    ended: list[str] = []
    async with sluice.client() as client:
        stream = f"/v1/events?label=batch={name}&phase=Succeeded"
        async with client.http.get("/v1/events", headers={"Accept": "application/x-ndjson"}) as now:
            place = json.loads(await now.content.readline())["id"]
        async with client.http.post(
            "/v1/runs:batch", data=body.encode(), headers={"Content-Type": "application/x-ndjson"}
        ) as response:
            assert response.status == 200, await response.text()
            items = (await response.json())["items"]
        assert [item["id"] for item in items] == run_ids
        # Each time from where the last one was cut.
        while len(ended) < len(run_ids):
            async with aclosing(lines(client, stream, Last_Event_ID=place)) as events:
                event = await anext(events)
            ended.append(event["data"]["run_id"])
            place = event["id"]
        _, listed = await get(client, f"/v1/runs?label=batch={name}&limit=3")
        _, rest = await get(client, listed["links"]["next"])
        _, counted = await get(client, f"/v1/runs:counts?label=batch={name}")
    assert sorted(ended) == run_ids
    assert sorted(run["id"] for run in listed["runs"] + rest["runs"]) == run_ids
    assert counted == {"counts": {"Succeeded": 5}, "total": 5}


async def test_runs_are_stopped_by_a_filter(sluice: Sluice) -> None:
    name = unique_name("stopped")
    run_ids = [f"{name}-{number}" for number in range(2)]
    async with sluice.client() as client:
        for run_id in run_ids:
            await client.accepted({"id": run_id, "workflow": "approval", "labels": {"batch": name}})
        for run_id in run_ids:
            await suspended(client, run_id)
        path = f"/v1/runs:stop?label=batch={name}&phase=Suspended&expect="
        status, problem = await post(client, f"{path}3")
        assert (status, problem["type"]) == (412, "urn:sluice:problem:count-changed")
        status, sent = await post(client, f"{path}2", {"reason": "over"})
        assert status == 202, sent
        assert sorted(item["id"] for item in sent["items"]) == run_ids
        outcomes = [await outcome(client, run_id) for run_id in run_ids]
    assert {each["phase"] for each in outcomes} == {"Failed"}
    assert {each["last_command"]["reason"] for each in outcomes} == {"over"}


async def test_a_run_is_run_again_as_its_child(sluice: Sluice) -> None:
    run_id = unique_name("again")
    async with sluice.client() as client:
        await client.outcome({"id": run_id, "labels": {"team": "x"}, **HELLO})
        path = f"/v1/runs/{run_id}/rerun"
        status, started = await post(client, path, {"parameters": {"name": "Bob"}})
        assert status == 202, started
        again = await outcome(client, started["id"])
        assert again["phase"] == "Succeeded"
        assert again["outputs"] == {"greeting": "Hello, Bob!"}
        assert (again["parent"], again["labels"]) == (run_id, {"team": "x"})


async def test_an_event_over_http_and_on_kafka_is_one_run(sluice: Sluice) -> None:
    attributes = {
        "specversion": "1.0",
        "id": unique_name("event"),
        "source": "/shops/7",
        "type": "order.paid",
    }
    run_id = derive_run_id(attributes["source"], attributes["id"])
    async with sluice.client() as client:
        await produce(
            sluice.kafka,
            sluice.topics.requests,
            json.dumps(HELLO).encode(),
            key=f"default/{run_id}".encode(),
            headers=tuple((f"ce_{name}", text.encode()) for name, text in attributes.items()),
        )
        binary = {f"ce-{name}": text for name, text in attributes.items()}
        status, body = await post(client, "/v1/runs", HELLO, **binary)
        assert status in (200, 202), body
        events = await client.events(run_id)
        other = {"workflow": "hello", "parameters": {"name": "Bob"}}
        assert (await post(client, "/v1/runs", other, **binary))[0] == 409
    assert len({event["uid"] for event in events}) == 1
    assert events[-1]["outputs"] == {"greeting": "Hello, Ada!"}
