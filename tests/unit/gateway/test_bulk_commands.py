"""POST /v1/runs:stop, terminate, suspend, resume and retry."""

import json
from typing import Any

import pytest
from aiohttp import ClientResponse

from sluice_contracts.requests import COMMANDS, RetryCommand
from sluice_contracts.status import Phase
from sluice_gateway.services.bulk_commands import MAX_BYTES, MAX_RUNS
from tests.unit.gateway.harness import GREET, Gateway, published
from tests.unit.gateway.test_commands import commands


async def send(
    gateway: Gateway, query: str, document: object | None = None, *, kind: str = "stop"
) -> ClientResponse:
    return await gateway.client.post(f"/v1/runs:{kind}?{query}", json=document)


async def items_of(response: ClientResponse, *, status: int) -> list[dict[str, Any]]:
    assert response.status == status, await response.text()
    items: list[dict[str, Any]] = (await response.json())["items"]
    return items


async def problem_of(response: ClientResponse, *, status: int, kind: str) -> dict[str, Any]:
    document: dict[str, Any] = await response.json(content_type="application/problem+json")
    assert (response.status, document["type"]) == (status, f"urn:sluice:problem:{kind}")
    return document


@pytest.fixture(autouse=True)
async def runs(gateway: Gateway) -> None:
    """Start a, b and c, of which c has failed, and d of tenant acme."""
    for run_id, tenant in (("a", "default"), ("b", "default"), ("c", "default"), ("d", "acme")):
        await gateway.post({"id": run_id, "tenant": tenant, **GREET})
    await gateway.publish(published(5, Phase.FAILED, run_id="c"))


@pytest.mark.parametrize("kind", COMMANDS)
async def test_each_run_gets_a_command_of_its_own(gateway: Gateway, kind: str) -> None:
    response = await send(gateway, "tenant=default&expect=3", {"reason": "over"}, kind=kind)

    items = await items_of(response, status=202)
    assert [(item["status"], item["id"]) for item in items] == [(202, each) for each in "cba"]
    assert items[0]["links"]["self"] == "/v1/runs/c"
    # What the command can change is for the dispatcher to say; c has ended.
    assert [item["phase"] for item in items] == ["Failed", "Accepted", "Accepted"]
    assert sorted((each.id, each.type, each.reason) for each in commands(gateway)) == [
        (each, kind, "over") for each in "abc"
    ]


async def test_the_body_is_that_of_one_command(gateway: Gateway) -> None:
    await items_of(
        await send(gateway, "phase=Failed&expect=1", {"restart_succeeded": True}, kind="retry"),
        status=202,
    )

    assert commands(gateway) == [RetryCommand(id="c", restart_succeeded=True)]


async def test_a_filter_selects_over_all_tenants(gateway: Gateway) -> None:
    await items_of(await send(gateway, "phase=Accepted&expect=3"), status=202)

    assert {str(each.key) for each in commands(gateway)} == {"default/a", "default/b", "acme/d"}


@pytest.mark.parametrize("expected", [2, 4])
async def test_another_number_of_runs_is_412_and_nothing_is_written(
    gateway: Gateway, expected: int
) -> None:
    response = await send(gateway, f"tenant=default&expect={expected}")

    document = await problem_of(response, status=412, kind="count-changed")
    assert str(expected) in document["detail"]
    assert not commands(gateway)


async def test_a_run_that_is_only_on_the_topic_counts(gateway: Gateway) -> None:
    await gateway.post({"id": "e", **GREET})
    record = next(
        each
        for each in gateway.producer.records_for_test("sluice.requests")
        if each.key == b"default/e"
    )
    await gateway.store.forget()
    gateway.coming.append(record)

    await problem_of(await send(gateway, "expect=0"), status=412, kind="count-changed")


async def test_more_than_a_page_are_selected(gateway: Gateway) -> None:
    await gateway.publish(
        *(published(3, run_id=f"r{number}", tenant="many") for number in range(501))
    )

    await problem_of(
        await send(gateway, "tenant=many&expect=500"), status=412, kind="count-changed"
    )
    items = await items_of(await send(gateway, "tenant=many&expect=501"), status=202)

    assert len({item["id"] for item in items}) == len(commands(gateway)) == 501


async def test_none_is_a_number_too(gateway: Gateway) -> None:
    assert await items_of(await send(gateway, "phase=Running&expect=0"), status=202) == []


async def test_every_run_is_named_if_some_commands_fail(gateway: Gateway) -> None:
    await gateway.publish(published(5, Phase.REJECTED, run_id="b"))
    gateway.producer.fail_next_for_test()

    response = await send(gateway, "tenant=default&expect=3")

    items = await items_of(response, status=207)
    assert [item["id"] for item in items] == ["c", "b", "a"]
    assert sorted(item["status"] for item in items) == [202, 409, 503]
    assert response.headers["Retry-After"] == "2"
    assert len(commands(gateway)) == 1


async def test_a_view_that_is_behind_commands_nobody(gateway: Gateway) -> None:
    gateway.behind.append("the topics could not be read to their end")

    await problem_of(await send(gateway, "expect=4"), status=503, kind="unavailable")
    assert not commands(gateway)


@pytest.mark.parametrize(
    "query", ["", "expect=-1", "expect=1001", "expect=x", "expect=4&phase=x", "expect=4&limit=1"]
)
async def test_a_query_that_means_nothing_is_refused(gateway: Gateway, query: str) -> None:
    await problem_of(await send(gateway, query), status=422, kind="invalid-request")
    assert not commands(gateway)


async def test_a_body_that_is_not_the_commands_is_refused(gateway: Gateway) -> None:
    response = await send(gateway, "expect=4", {"step": "a"})

    document = await problem_of(response, status=422, kind="invalid-request")
    assert document["errors"][0]["pointer"] == "/step"
    assert not commands(gateway)


def answer_of(size: int) -> dict[str, Any]:
    """Give an answer whose JSON has so many bytes."""
    empty = len(json.dumps({"values": {"text": ""}}))
    return {"values": {"text": "x" * (size - empty)}}


async def test_one_body_is_not_written_to_many_runs_if_it_is_large(gateway: Gateway) -> None:
    most = MAX_BYTES // MAX_RUNS
    query = f"expect={MAX_RUNS}"

    refused = await send(gateway, query, answer_of(most + 1), kind="resume")
    allowed = await send(gateway, query, answer_of(most), kind="resume")

    document = await problem_of(refused, status=413, kind="too-large")
    assert "select fewer runs, or send smaller values" in document["detail"]
    await problem_of(allowed, status=412, kind="count-changed")
    assert not commands(gateway)


async def test_a_large_body_is_written_to_a_few_runs(gateway: Gateway) -> None:
    response = await send(gateway, "tenant=default&expect=3", answer_of(60_000), kind="resume")

    await items_of(response, status=202)
    assert len(commands(gateway)) == 3
