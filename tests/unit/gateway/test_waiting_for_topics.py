"""Requests of `globex`, which has topics of its own, wait for Kafka; others do not."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from sluice_contracts.dead_letters import encode_dead_letter
from sluice_contracts.problems import ProblemType, problem
from sluice_contracts.records import IncomingRecord, Position
from tests.unit.gateway.harness import (
    DOOR,
    GREET,
    Gateway,
    load_shedder_of,
    published,
    running_gateway,
)
from tests.unit.gateway.test_posting import problem_of


@asynccontextmanager
async def waiting(folder: Path) -> AsyncIterator[tuple[Gateway, AsyncExitStack]]:
    """Let as many wait as may, without room for one more; closing the stack ends that."""
    admission = load_shedder_of(max_requests=6)
    async with running_gateway(folder, admission=admission) as gateway:
        async with AsyncExitStack() as held:
            await held.enter_async_context(gateway.producer.hold_for_test())
            posts = [
                asyncio.create_task(gateway.post({"tenant": "globex", **GREET})) for _ in range(3)
            ]
            await gateway.producer.waiting_for_test(3)
            yield gateway, held
        for each in await asyncio.gather(*posts):
            assert each.status == 202


async def test_one_more_is_refused_and_other_tenants_are_not(tmp_path: Path) -> None:
    async with waiting(tmp_path) as (gateway, held):
        refused = await gateway.post({"tenant": "globex", **GREET})
        document = await problem_of(refused, status=503, kind="unavailable")
        assert document["detail"].startswith("Kafka does not acknowledge the requests of this")
        assert refused.headers["Retry-After"] == "2"
        other = asyncio.create_task(gateway.post(GREET))
        await gateway.producer.waiting_for_test(4)
        await held.aclose()
        assert (await other).status == 202


async def test_of_a_batch_only_its_items_are_refused(tmp_path: Path) -> None:
    async with waiting(tmp_path) as (gateway, held):
        lines = [{"id": "a", "tenant": "globex", **GREET}, {"id": "b", **GREET}]
        batch = asyncio.create_task(
            gateway.client.post(
                "/v1/runs:batch",
                data="\n".join(map(json.dumps, lines)),
                headers={"Content-Type": "application/x-ndjson"},
            )
        )
        await gateway.producer.waiting_for_test(4)
        await held.aclose()
        items = (await (await batch).json())["items"]
        assert [(each["id"], each["status"]) for each in items] == [("a", 503), ("b", 202)]


async def test_commands_wait_with_them(tmp_path: Path) -> None:
    async with waiting(tmp_path) as (gateway, _):
        await gateway.publish(published(1, tenant="globex"))
        refused = await gateway.client.post("/v1/runs/order-1/stop?tenant=globex")
        assert refused.status == 503
        many = await gateway.client.post("/v1/runs:stop?tenant=globex&expect=1")
        [item] = (await many.json())["items"]
        assert (item["id"], item["status"]) == ("order-1", 503)


async def test_replays_and_drops_of_dead_letters_wait_with_them(tmp_path: Path) -> None:
    record = IncomingRecord(
        position=Position(DOOR.requests, 0, 0), timestamp_ms=5, key=None, value=b"{}"
    )
    written = encode_dead_letter(
        record, problem(ProblemType.INVALID_REQUEST, "No workflow."), key=None
    )
    admission = load_shedder_of(max_requests=6)
    async with running_gateway(tmp_path, admission=admission) as gateway:
        letter = (await gateway.bury(written, topic=DOOR.dlq)).position
        async with gateway.producer.hold_for_test():
            posts = [
                asyncio.create_task(gateway.post({"tenant": "globex", **GREET})) for _ in range(3)
            ]
            await gateway.producer.waiting_for_test(3)
            for action in ("replay", "drop"):
                path = f"/v1/dead-letters/globex.{letter.partition}-{letter.offset}/{action}"
                refused = await gateway.client.post(path)
                assert refused.status == 503
                detail = (await refused.json(content_type=None))["detail"]
                assert detail.startswith("Kafka does not acknowledge the requests of this")
        for each in await asyncio.gather(*posts):
            assert each.status == 202
