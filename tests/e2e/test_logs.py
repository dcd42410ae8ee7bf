"""The logs of steps, from the process or pod that writes them to the client."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

import pytest

from tests.support.client import OUTCOME_SECONDS, Client
from tests.support.engines import Engine
from tests.support.kafka import KafkaServer, unique_name
from tests.support.sluice import Sluice, running_sluice
from tests.unit.runtime.clock import pause

pytestmark = pytest.mark.e2e

Json = dict[str, Any]
COUNT = 10_000
ODD = 3
"""Lines beside those that are counted: what is not text, a long one, and one of stderr."""


@pytest.fixture(scope="module")
def logged(
    kafka: KafkaServer, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sluice]:
    """A Sluice with a log-relay."""
    folder = tmp_path_factory.mktemp("logs")
    with running_sluice(kafka, folder, engine=engine, logs=True) as running:
        yield running


def path_of(run_id: str, step: str) -> str:
    return f"/v1/runs/{run_id}/steps/{step}/logs"


async def log(
    client: Client, run_id: str, *, after: str | None = None, **query: str
) -> AsyncGenerator[Json]:
    """Yield what the log of the step `talk` holds, up to its end."""
    headers = {"Accept": "application/x-ndjson"} | ({"Last-Event-ID": after} if after else {})
    answer = client.http.get(path_of(run_id, "talk"), params=query, headers=headers)
    async with answer as response:
        assert response.status == HTTPStatus.OK, await response.text()
        async for raw in response.content:
            line = json.loads(raw)
            if line["event"] != "keepalive" and not is_of_argo(line):
                yield line


def is_of_argo(line: Json) -> bool:
    """Return whether Argo's executor has written the line; it shares the container."""
    return line["data"] is not None and " argo=true" in line["data"]["text"]


async def started(client: Client) -> str:
    """Start a run, and wait until its step has written all but its last line."""
    run_id = await client.accepted({"id": unique_name("talk"), "workflow": "chatter"})
    async with asyncio.timeout(OUTCOME_SECONDS):
        while True:
            async with client.http.get(f"/v1/runs/{run_id}") as response:
                steps = {each["name"]: each for each in (await response.json())["steps"]}
            if "talk" in steps:
                break
            await pause(0.1)
        async with aclosing(log(client, run_id, follow="true")) as lines:
            async for number, _ in enumerate_from_one(lines):
                if number == COUNT + ODD:
                    return run_id
    raise AssertionError("the log ended")


async def enumerate_from_one(lines: AsyncGenerator[Json]) -> AsyncGenerator[tuple[int, Json]]:
    number = 0
    async for line in lines:
        number += 1
        yield number, line


@pytest.fixture
async def client(logged: Sluice) -> AsyncGenerator[Client]:
    async with logged.client() as client:
        yield client


async def stop(client: Client, run_id: str) -> None:
    async with client.http.post(f"/v1/runs/{run_id}/stop") as response:
        assert response.status == HTTPStatus.ACCEPTED


async def test_a_log_is_followed_to_its_end_over_a_cut_and_without_repeats(
    client: Client,
) -> None:
    run_id = await started(client)
    first: list[Json] = []
    async with aclosing(log(client, run_id, follow="true")) as lines:
        async for line in lines:
            first.append(line)
            if len(first) == COUNT // 3:
                break
    rest: list[Json] = []
    async with asyncio.timeout(OUTCOME_SECONDS):
        async for line in log(client, run_id, after=first[-1]["id"], follow="true"):
            rest.append(line)
            if line["data"] is not None and line["data"]["text"] == f"line {COUNT - 1}":
                await stop(client, run_id)
    *logged, end = first + rest
    assert end == {"id": None, "event": "end", "data": None}
    texts = [each["data"]["text"] for each in logged]
    # Both streams have an order of their own.
    assert [each for each in texts if each.startswith("line ")] == [
        f"line {n}" for n in range(COUNT)
    ]
    assert texts[-1] == "bye"
    assert len({each["id"] for each in logged}) == len(logged)
    [long] = [each["data"] for each in logged if each["data"]["truncated"]]
    assert long["text"] == "x" * 16 * 1024
    # Where a cut may leave out a line of standard error, a whole log has it.
    whole = {each["data"]["text"] async for each in log(client, run_id) if each["data"]}
    assert {"\x00\ufffd binary", "to stderr"} < whole


async def test_the_last_lines_are_plain_text_for_curl(client: Client) -> None:
    run_id = await started(client)
    async with client.http.get(path_of(run_id, "talk"), params={"tail": "100"}) as response:
        assert response.content_type == "text/plain"
        lines = (await response.text()).splitlines()
        # A node keeps a long line in several pieces, which count.
        assert 90 <= len(lines) <= 100
        assert "line 9999" in lines
    await stop(client, run_id)
    await client.events(run_id)


async def test_other_tenants_and_steps_without_a_pod_have_no_log(client: Client) -> None:
    run_id = await started(client)
    other = client.http.get(path_of(run_id, "talk"), params={"tenant": "acme"})
    async with other as response:
        document = await response.json()
        assert (response.status, document["type"]) == (404, "urn:sluice:problem:unknown-run")
    async with client.http.get(path_of(run_id, "[0]")) as response:
        assert response.status == HTTPStatus.CONFLICT
    await stop(client, run_id)
    await client.events(run_id)


async def test_a_relay_that_is_away_is_said_and_nothing_else_suffers(
    logged: Sluice, client: Client
) -> None:
    run_id = await started(client)
    logged.kill("log-relay")
    async with client.http.get(path_of(run_id, "talk")) as response:
        assert response.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert response.headers["Retry-After"]
    logged.start("log-relay")
    async with client.http.get(path_of(run_id, "talk"), params={"tail": "1"}) as response:
        assert response.status == HTTPStatus.OK
    await stop(client, run_id)
    assert (await client.events(run_id))[-1]["phase"] == "Failed"


async def test_a_pod_that_is_gone_has_no_log(logged: Sluice, client: Client) -> None:
    run_id = await started(client)
    await stop(client, run_id)
    outcome = (await client.events(run_id))[-1]
    await logged.delete_pods(outcome)
    async with asyncio.timeout(OUTCOME_SECONDS):
        while True:
            async with client.http.get(path_of(run_id, "talk")) as response:
                document = await response.json(content_type=None) if response.status != 200 else {}
                if response.status == HTTPStatus.GONE:
                    assert document["type"] == "urn:sluice:problem:log-gone"
                    return
            await pause(0.1)
