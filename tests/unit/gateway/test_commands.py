"""POST /v1/runs/{id}/stop, terminate, suspend, resume and retry."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse

from sluice_contracts.ids import RunKey
from sluice_contracts.request_codec import ReceivedCommand, decode_request
from sluice_contracts.requests import COMMANDS, Command, ResumeCommand, RetryCommand, SimpleCommand
from sluice_contracts.status import Phase
from sluice_gateway.domain.identity import Scope
from sluice_gateway.ports import ViewUnavailableError
from sluice_gateway.services.commands import Commands
from sluice_gateway.services.identification import ANYBODY
from sluice_gateway.services.request_quotas import RequestQuotas
from tests.unit.gateway.harness import (
    GREET,
    TOPICS,
    TRACE,
    TRACEPARENT,
    Gateway,
    published,
    request_producer_of,
)
from tests.unit.gateway.identities import as_, grant, granting_gateway

_TIMEOUT = timedelta(seconds=10)


def commands(gateway: Gateway) -> list[Command]:
    """Give the commands that were written to the request topic."""
    received = [decode_request(r) for r in gateway.producer.records_for_test(TOPICS.requests)]
    return [each.command for each in received if isinstance(each, ReceivedCommand)]


async def command(
    gateway: Gateway, kind: str, document: object | None = None, *, query: str = ""
) -> ClientResponse:
    """Give a command to run order-1."""
    return await gateway.client.post(f"/v1/runs/order-1/{kind}{query}", json=document)


async def problem_of(response: ClientResponse, *, status: int, kind: str) -> dict[str, Any]:
    document: dict[str, Any] = await response.json(content_type="application/problem+json")
    assert (response.status, document["type"]) == (status, f"urn:sluice:problem:{kind}")
    return document


@pytest.fixture(autouse=True)
async def run(gateway: Gateway) -> None:
    """Start run order-1."""
    await gateway.post({"id": "order-1", **GREET})


@pytest.mark.parametrize("kind", COMMANDS)
async def test_a_command_needs_no_body_and_stands_on_the_topic_as_if_a_client_had_written_it(
    gateway: Gateway, kind: str
) -> None:
    response = await gateway.client.post(
        f"/v1/runs/order-1/{kind}", headers={"traceparent": TRACEPARENT}
    )

    assert response.status == 202
    assert response.headers["Location"] == "/v1/runs/order-1"
    *_, record = gateway.producer.records_for_test(TOPICS.requests)
    assert await response.json() == {
        "id": "order-1",
        "tenant": "default",
        "command": kind,
        "request": str(record.position),
        "phase": "Accepted",
        "links": {"self": "/v1/runs/order-1", "events": "/v1/runs/order-1/events"},
    }
    assert record.key == b"default/order-1"
    received = decode_request(record)
    assert isinstance(received, ReceivedCommand)
    assert received.key == RunKey("default", "order-1")
    assert received.command.type == kind
    assert received.traceparent.split("-")[1] == TRACE


async def test_a_command_to_a_run_that_has_ended_says_so(gateway: Gateway) -> None:
    await gateway.publish(published(5, Phase.SUCCEEDED))
    response = await command(gateway, "stop")

    # It is for the dispatcher to say: a retry may be on its way that is not seen here yet.
    assert response.status == 202
    assert (await response.json())["phase"] == "Succeeded"
    assert len(commands(gateway)) == 1


async def test_the_phase_is_for_those_who_may_read_the_run(tmp_path: Path) -> None:
    grants = (grant("seed", *Scope), grant("commander", Scope.COMMAND))
    async with granting_gateway(tmp_path, *grants) as gateway:
        await gateway.post({"id": "order-2", **GREET}, **as_("seed"))
        path = "/v1/runs/order-2/stop"
        response = await gateway.client.post(path, headers=as_("commander"))

        assert response.status == 202
        assert (await response.json())["phase"] is None


async def test_bodies_become_the_members_of_the_record(gateway: Gateway) -> None:
    await command(gateway, "stop", {"reason": "too late"})
    await command(
        gateway, "resume", {"reason": "fine", "step": "approve", "values": {"decision": "yes"}}
    )
    await command(gateway, "retry", {"step": "count(3)", "restart_succeeded": True})
    await command(gateway, "suspend", {})

    assert commands(gateway) == [
        SimpleCommand(type="stop", id="order-1", reason="too late"),
        ResumeCommand(id="order-1", reason="fine", step="approve", values={"decision": "yes"}),
        RetryCommand(id="order-1", step="count(3)", restart_succeeded=True),
        SimpleCommand(type="suspend", id="order-1"),
    ]


@pytest.mark.parametrize(
    ("kind", "document", "pointer"),
    [
        ("stop", {"reason": 1}, "/reason"),
        ("stop", {"reason": "x" * 1025}, "/reason"),
        ("stop", {"step": "a"}, "/step"),
        ("stop", {"id": "order-2"}, "/id"),
        ("stop", {"type": "terminate"}, "/type"),
        ("stop", {"tenant": "acme"}, "/tenant"),
        ("resume", {"values": {"a b": "c"}}, "/values/a b/[key]"),
        ("resume", {"values": {"a": 1}}, "/values/a"),
        ("retry", {"restart_succeeded": "perhaps"}, "/restart_succeeded"),
        ("retry", [], ""),
        ("stop", "now", ""),
    ],
)
async def test_a_body_that_is_not_the_commands_is_refused(
    gateway: Gateway, kind: str, document: object, pointer: str
) -> None:
    response = await command(gateway, kind, document)

    problem = await problem_of(response, status=422, kind="invalid-request")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert not commands(gateway)


@pytest.mark.parametrize("body", [b"{", b"", b'{"reason": "a", "reason": "b"}'])
async def test_a_body_is_json_or_missing(gateway: Gateway, body: bytes) -> None:
    response = await gateway.client.post(
        "/v1/runs/order-1/stop", data=body, headers={"Content-Type": "application/json"}
    )

    assert response.status == (400 if body else 202)


async def test_a_run_belongs_to_a_tenant(gateway: Gateway) -> None:
    await problem_of(
        await command(gateway, "stop", query="?tenant=acme"), status=404, kind="unknown-run"
    )
    await gateway.post({"id": "order-1", "tenant": "acme", **GREET})

    response = await command(gateway, "stop", query="?tenant=acme")

    assert response.headers["Location"] == "/v1/runs/order-1?tenant=acme"
    assert [each.key for each in commands(gateway)] == [RunKey("acme", "order-1")]


async def test_an_unknown_run_is_404_once_everything_is_read(gateway: Gateway) -> None:
    response = await gateway.client.post("/v1/runs/order-2/stop")

    await problem_of(response, status=404, kind="unknown-run")
    assert not commands(gateway)


@pytest.mark.parametrize("phase", [Phase.REJECTED, Phase.EXPIRED, Phase.DELETED])
@pytest.mark.parametrize("kind", COMMANDS)
async def test_what_will_never_have_a_workflow_takes_no_command(
    gateway: Gateway, kind: str, phase: Phase
) -> None:
    await gateway.publish(published(0, phase))

    await problem_of(await command(gateway, kind), status=409, kind="not-applicable")
    assert not commands(gateway)


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.SUCCEEDED, Phase.FAILED, Phase.ERROR])
@pytest.mark.parametrize("kind", COMMANDS)
async def test_what_may_have_changed_meanwhile_is_for_the_dispatcher_to_say(
    gateway: Gateway, kind: str, phase: Phase
) -> None:
    await gateway.publish(published(5, phase))

    assert (await command(gateway, kind)).status == 202
    assert [each.type for each in commands(gateway)] == [kind]


async def test_a_view_that_is_behind_keeps_no_command_from_a_run(gateway: Gateway) -> None:
    gateway.behind.append("the topics could not be read to their end")

    assert (await gateway.client.post("/v1/runs/elsewhere/stop")).status == 202
    assert [each.id for each in commands(gateway)] == ["elsewhere"]


STOP = SimpleCommand(type="stop", id="order-1")


class NoView:
    """A view that cannot be used."""

    async def find(self, _: RunKey) -> None:
        raise ViewUnavailableError("the file is damaged")


async def test_without_a_view_commands_are_taken_too(gateway: Gateway) -> None:
    service = _service(gateway, view=NoView())

    await service.send(STOP, identity=ANYBODY, traceparent=TRACEPARENT)

    assert [each.type for each in commands(gateway)] == ["stop"]


async def test_what_kafka_does_not_acknowledge_is_503(gateway: Gateway) -> None:
    gateway.producer.fail_next_for_test(written=True)
    response = await command(gateway, "stop")

    document = await problem_of(response, status=503, kind="outcome-unknown")
    assert "order-1" in document["detail"]
    assert response.headers["Retry-After"] == "2"

    gateway.unsafe.append("the topic is compacted")
    await problem_of(await command(gateway, "stop"), status=503, kind="unavailable")


async def test_a_client_that_leaves_does_not_stop_its_command(gateway: Gateway) -> None:
    service = _service(gateway, view=gateway.view)
    async with gateway.producer.hold_for_test():
        sending = asyncio.create_task(service.send(STOP, identity=ANYBODY, traceparent=TRACEPARENT))
        await gateway.producer.waiting_for_test(1)
        sending.cancel()
        await asyncio.wait({sending})
    await service.drain()

    assert [each.type for each in commands(gateway)] == ["stop"]


async def test_a_command_does_not_start_a_run(gateway: Gateway) -> None:
    response = await gateway.post({"type": "stop", "id": "order-1"})

    document = await problem_of(response, status=422, kind="invalid-request")
    assert "/v1/runs/order-1/stop" in document["detail"]
    assert document["errors"] == [{"pointer": "/type", "detail": "Must be run."}]


def _service(gateway: Gateway, *, view: Any) -> Commands:
    producer = request_producer_of(gateway.producer, timeout=_TIMEOUT)
    return Commands(producer=producer, view=view, quotas=RequestQuotas())
