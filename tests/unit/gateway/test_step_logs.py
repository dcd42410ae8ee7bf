"""GET /v1/runs/{id}/steps/{step}/logs."""

import json
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog

from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.status import Phase
from sluice_contracts.steps import Step, StepGroup
from sluice_gateway.domain.identity import Scope
from sluice_gateway.domain.logged_steps import LoggedStep
from sluice_gateway.domain.trusted_proxies import TrustedProxies
from sluice_gateway.handlers.app_keys import Limits
from sluice_gateway.services import step_logs
from sluice_gateway.services.response_budget import ResponseLimits
from sluice_gateway.services.step_logs import StepLogs
from tests.support.fake_log_relay import Asked, FakeLogRelay
from tests.unit.gateway.harness import GREET, Gateway, published, running_gateway
from tests.unit.gateway.identities import as_, grant, granting_gateway
from tests.unit.gateway.test_events import frame
from tests.unit.gateway.test_log_lines import SECOND, line

KEY = RunKey("default", "order-1")
NODE = f"{workflow_name(KEY)}-1"
LOGS = "/v1/runs/order-1/steps/{}/logs"
ONE = LOGS.format(NODE)
SSE = {"Accept": "text/event-stream"}
NDJSON = {"Accept": "application/x-ndjson"}


def node(number: int, name: str, kind: str = "Pod", phase: str = "Running", **more: Any) -> Step:
    wanted = {"template": "greet", **more}
    return Step(id=f"{workflow_name(KEY)}-{number}", name=name, type=kind, phase=phase, **wanted)


STEPS = (
    node(1, "greet"),
    node(2, "twice"),
    node(3, "twice"),
    node(4, "approve", "Suspend"),
    node(5, "all", "DAG"),
    node(6, "left-out", phase="Omitted"),
    node(7, "coming", phase="Pending"),
    node(8, "archived", phase="Succeeded", logs={"main": "s3://bucket/main.log"}),
)


async def fill(gateway: Gateway) -> None:
    await gateway.post({"id": "order-1", **GREET})
    group = StepGroup(id=f"{workflow_name(KEY)}-9", name="[0]", phase="Running")
    await gateway.publish(
        published(1, Phase.RUNNING, steps=STEPS, groups=(group,), namespace="argo", uid="u1")
    )


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_logs, "_PAUSE_S", 0)


@pytest.fixture
def relay() -> FakeLogRelay:
    return FakeLogRelay()


@pytest.fixture
async def gateway(tmp_path: Path, relay: FakeLogRelay) -> AsyncIterator[Gateway]:
    logs = StepLogs(relay, max_line=100)
    async with running_gateway(tmp_path, step_logs=logs, limits=Limits(keepalive=0.05)) as running:
        await fill(running)
        yield running


async def problem_of(response: aiohttp.ClientResponse) -> tuple[int, str, str]:
    document = await response.json()
    return response.status, document["type"].rpartition(":")[2], document["detail"]


async def test_a_log_is_plain_text_by_default(gateway: Gateway, relay: FakeLogRelay) -> None:
    relay.write(line("a", 1) + line("<b>", 2), line("c", 3), b"")
    response = await gateway.client.get(ONE)
    assert response.status == 200
    assert response.content_type == "text/plain"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"
    assert await response.text() == "a\n<b>\nc\n"
    assert relay.asked == [Asked(NODE, None, None, follow=False)]
    assert relay.steps == [
        LoggedStep(
            key=KEY,
            namespace="argo",
            uid="u1",
            node_id=NODE,
            template="greet",
            starting=False,
            archived=None,
        )
    ]


async def test_events_have_times_and_places_and_an_end(
    gateway: Gateway, relay: FakeLogRelay
) -> None:
    relay.write(line("a", 1) + line("b", 1), b"")
    response = await gateway.client.get(ONE, headers=SSE)
    assert await frame(response) == "retry: 2000"
    first, second, end = [await frame(response) for _ in range(3)]
    time = "2025-11-30T12:00:00.000000001Z"
    assert first == (
        f"{SECOND + 1}:1",
        "log",
        json.dumps({"time": time, "text": "a", "truncated": False}, separators=(",", ":")),
    )
    assert second is not None
    assert second[0] == f"{SECOND + 1}:2"
    assert end == ("", "end", "null")
    assert await frame(response) is None


async def test_lines_of_json_are_the_same(gateway: Gateway, relay: FakeLogRelay) -> None:
    relay.write(line("é", 1), b"")
    response = await gateway.client.get(ONE, headers=NDJSON)
    first, end = [json.loads(each) for each in (await response.text()).splitlines()]
    assert first["data"]["text"] == "é"
    assert end == {"id": None, "event": "end", "data": None}


async def test_what_is_asked_for_is_passed_on(gateway: Gateway, relay: FakeLogRelay) -> None:
    relay.write(b"", b"")
    await gateway.client.get(ONE, params={"tail": "5"})
    last = {"Last-Event-ID": f"{SECOND + 7}:2"}
    await gateway.client.get(ONE, params={"tail": "5"}, headers=last)
    assert relay.asked == [
        Asked(NODE, 5, None, follow=False),
        Asked(NODE, None, SECOND // 1_000_000_000, follow=False),
    ]


async def test_a_followed_log_is_read_once_more_at_its_end(
    gateway: Gateway, relay: FakeLogRelay
) -> None:
    relay.write(line("a", 1) + line("b", 2) + line("half of", 3)[:-4], b"")
    relay.write(line("a", 1) + line("b", 2) + line("half of it", 3) + line("late", 4), b"")
    response = await gateway.client.get(ONE, params={"follow": "true", "tail": "9"})
    assert await response.text() == "a\nb\nhalf of it\nlate\n"
    assert relay.asked == [
        Asked(NODE, 9, None, follow=True),
        Asked(NODE, None, SECOND // 1_000_000_000, follow=False),
    ]


async def test_a_followed_log_that_came_empty_is_read_as_a_whole(
    gateway: Gateway, relay: FakeLogRelay
) -> None:
    relay.write(b"", line("a", 1) + line("b", 2), b"")
    response = await gateway.client.get(ONE, params={"follow": "true"})
    assert await response.text() == "a\nb\n"
    assert relay.asked == [
        Asked(NODE, None, None, follow=True),
        Asked(NODE, None, None, follow=False),
    ]


async def test_the_last_look_at_a_log_may_be_interrupted_too(
    gateway: Gateway, relay: FakeLogRelay
) -> None:
    relay.write(line("a", 1), b"", None, line("a", 1) + line("late", 2), b"")
    response = await gateway.client.get(ONE, params={"follow": "true"})
    assert await response.text() == "a\nlate\n"
    assert [each.follow for each in relay.asked] == [True, False, False]


async def test_a_reader_goes_on_behind_its_last_line(gateway: Gateway, relay: FakeLogRelay) -> None:
    relay.write(line("a", 1) + line("b", 1) + line("c", 2), b"")
    response = await gateway.client.get(ONE, headers={"Last-Event-ID": f"{SECOND + 1}:2"})
    assert await response.text() == "c\n"


@pytest.mark.parametrize("place", ["x", "1", "0:17,1:4"])
async def test_a_place_of_another_stream_is_refused(gateway: Gateway, place: str) -> None:
    assert (await gateway.client.get(ONE, headers={"Last-Event-ID": place})).status == 400


@pytest.mark.parametrize("query", [{"tail": "-1"}, {"tail": "x"}, {"follow": "1"}, {"since": "1"}])
async def test_a_malformed_query_is_refused(gateway: Gateway, query: dict[str, str]) -> None:
    assert (await gateway.client.get(ONE, params=query)).status == 422


async def test_a_step_may_be_named_if_no_other_has_the_name(
    gateway: Gateway, relay: FakeLogRelay
) -> None:
    relay.write(b"")
    assert (await gateway.client.get(LOGS.format("greet"))).status == 200
    assert relay.asked[0].node_id == NODE
    status, kind, detail = await problem_of(await gateway.client.get(LOGS.format("twice")))
    assert (status, kind) == (409, "not-applicable")
    assert "give an id" in detail


@pytest.mark.parametrize(
    ("step", "says"),
    [("approve", "Suspend"), ("all", "DAG"), ("left-out", "Omitted"), ("[0]", "type None")],
)
async def test_a_step_without_a_pod_says_why_it_has_no_log(
    gateway: Gateway, step: str, says: str
) -> None:
    status, kind, detail = await problem_of(await gateway.client.get(LOGS.format(step)))
    assert (status, kind) == (409, "not-applicable")
    assert says in detail


async def test_unknown_steps_and_runs_are_404(gateway: Gateway) -> None:
    unknown = await problem_of(await gateway.client.get(LOGS.format("nobody")))
    assert unknown[:2] == (404, "not-found")
    other = await gateway.client.get("/v1/runs/order-2/steps/greet/logs")
    assert (await problem_of(other))[:2] == (404, "unknown-run")


async def test_a_step_that_may_have_no_pod_yet_is_waited_for(
    gateway: Gateway, relay: FakeLogRelay
) -> None:
    relay.write(b"")
    await gateway.client.get(LOGS.format("coming"))
    assert relay.steps[0].starting


async def test_a_log_that_is_gone_says_where_it_may_be(
    gateway: Gateway, relay: FakeLogRelay
) -> None:
    relay.gone()
    status, kind, detail = await problem_of(await gateway.client.get(LOGS.format("archived")))
    assert (status, kind) == (410, "log-gone")
    assert "s3://bucket/main.log" in detail


async def test_a_relay_that_is_away_is_503(gateway: Gateway, relay: FakeLogRelay) -> None:
    relay.unavailable()
    response = await gateway.client.get(ONE)
    status, kind, detail = await problem_of(response)
    assert (status, kind) == (503, "unavailable")
    assert "secrets" not in detail
    assert response.headers["Retry-After"]


async def test_a_relay_that_refuses_the_gateway_is_503_and_says_why(
    gateway: Gateway, relay: FakeLogRelay
) -> None:
    relay.refuse()
    response = await gateway.client.get(ONE)
    status, kind, detail = await problem_of(response)
    assert (status, kind) == (503, "unavailable")
    assert "their secrets differ" in detail
    assert response.headers["Retry-After"]


async def test_without_a_relay_the_answer_says_so(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as gateway:
        await fill(gateway)
        status, kind, detail = await problem_of(await gateway.client.get(ONE))
        assert (status, kind) == (404, "logs-disabled")
        assert "docs/logs.md" in detail


async def test_a_head_is_the_head_alone(gateway: Gateway, relay: FakeLogRelay) -> None:
    response = await gateway.client.head(ONE, params={"follow": "true"})
    assert (response.status, response.content_type) == (200, "text/plain")
    assert relay.left.is_set()


async def test_an_interruption_is_not_seen(gateway: Gateway, relay: FakeLogRelay) -> None:
    relay.write(line("a", 1) + line("b", 2) + line("half of", 3)[:-4], None)
    relay.write(line("a", 1) + line("b", 2) + line("half of it", 3), b"", b"")
    response = await gateway.client.get(ONE, params={"follow": "true", "tail": "9"})
    assert await response.text() == "a\nb\nhalf of it\n"
    assert relay.asked == [
        Asked(NODE, 9, None, follow=True),
        Asked(NODE, None, SECOND // 1_000_000_000, follow=True),
        Asked(NODE, None, SECOND // 1_000_000_000, follow=False),
    ]


async def test_a_log_is_at_its_end_if_its_pod_goes_meanwhile(
    gateway: Gateway, relay: FakeLogRelay
) -> None:
    response = await gateway.client.get(ONE, params={"follow": "true"})
    relay.write(line("a", 1) + line("cut", 2)[:-1])
    relay.gone()
    relay.write(None)
    assert await response.text() == "a\ncut\n"


async def test_silence_is_said_and_a_reader_that_leaves_ends_the_log(
    gateway: Gateway, relay: FakeLogRelay
) -> None:
    response = await gateway.client.get(ONE, params={"follow": "true"}, headers=SSE)
    await frame(response)
    assert await frame(response) == ": keepalive"
    response.close()
    await relay.left.wait()


async def test_a_reader_of_text_that_leaves_ends_the_log_too(
    gateway: Gateway, relay: FakeLogRelay
) -> None:
    response = await gateway.client.get(ONE, params={"follow": "true"})
    response.close()
    await relay.left.wait()


async def test_stopping_the_gateway_ends_logs(tmp_path: Path, relay: FakeLogRelay) -> None:
    async with running_gateway(tmp_path, step_logs=StepLogs(relay)) as gateway:
        await fill(gateway)
        response = await gateway.client.get(ONE, params={"follow": "true"})
        relay.write(line("a", 1))
        assert await response.content.readline() == b"a\n"
        await gateway.client.server.close()
        with pytest.raises(aiohttp.ClientError):
            await response.read()


async def test_streams_of_one_address_are_bounded(tmp_path: Path, relay: FakeLogRelay) -> None:
    few = ResponseLimits(max_streams_per_peer=1)
    async with running_gateway(tmp_path, step_logs=StepLogs(relay), outgoing=few) as gateway:
        await fill(gateway)
        first = await gateway.client.get(ONE, params={"follow": "true"})
        second = await gateway.client.get(ONE)
        assert (await problem_of(second))[:2] == (429, "overloaded")
        first.close()


async def test_no_address_takes_all_logs(tmp_path: Path, relay: FakeLogRelay) -> None:
    logs = StepLogs(relay, max_streams=4)
    proxies = TrustedProxies(trusted=(ip_network("127.0.0.0/8"),))
    async with running_gateway(tmp_path, step_logs=logs, peers=proxies) as gateway:
        await fill(gateway)

        async def follow(address: str) -> aiohttp.ClientResponse:
            forwarded = {"X-Forwarded-For": address}
            return await gateway.client.get(ONE, params={"follow": "true"}, headers=forwarded)

        opened = [await follow("192.0.2.1") for _ in range(2)]
        refused = await follow("192.0.2.1")
        assert (await problem_of(refused))[:2] == (429, "overloaded")
        opened.append(await follow("192.0.2.2"))
        assert {each.status for each in opened} == {200}
        opened[0].close()
        await relay.left.wait()


async def test_the_gateway_s_log_has_no_names_of_steps(
    gateway: Gateway, relay: FakeLogRelay
) -> None:
    with structlog.testing.capture_logs() as logged:
        response = await gateway.client.get(LOGS.format("greet"))
        relay.write(*[None] * 7)
        with pytest.raises(aiohttp.ClientError):
            await response.read()
    assert [each["path"] for each in logged if "path" in each] == ["/v1/runs/order-1"]


@pytest.mark.parametrize("headers", [SSE, NDJSON])
async def test_a_large_log_comes_in_several_answers(
    tmp_path: Path, relay: FakeLogRelay, headers: dict[str, str]
) -> None:
    logs = StepLogs(relay, max_line=1_000, max_bytes=50_000)
    async with running_gateway(tmp_path, step_logs=logs) as gateway:
        await fill(gateway)
        relay.write(*(line("x" * 900, n) for n in range(1, 200)), b"")
        response = await gateway.client.get(ONE, headers=headers)
        text = await response.text()
        assert 40_000 < len(text) < 100_000
        assert "end" not in text


async def test_a_large_log_as_text_is_cut(tmp_path: Path, relay: FakeLogRelay) -> None:
    logs = StepLogs(relay, max_line=1_000, max_bytes=50_000)
    async with running_gateway(tmp_path, step_logs=logs) as gateway:
        await fill(gateway)
        relay.write(*(line("x" * 900, n) for n in range(1, 200)), b"")
        response = await gateway.client.get(ONE)
        with pytest.raises(aiohttp.ClientError):
            await response.read()


async def test_a_flood_holds_no_more_than_a_piece(gateway: Gateway, relay: FakeLogRelay) -> None:
    relay.write(*(line("x" * 100, n) * 100 for n in range(100)), b"")
    response = await gateway.client.get(ONE, headers=NDJSON)
    lines = (await response.text()).splitlines()
    assert len(lines) == 10_001
    assert len({json.loads(each)["id"] for each in lines}) == 10_001
    assert gateway.outgoing.held == 0


@pytest.fixture
async def guarded(tmp_path: Path, relay: FakeLogRelay) -> AsyncIterator[Gateway]:
    async with granting_gateway(
        tmp_path,
        grant("seed", *Scope),
        grant("blind", Scope.READ),
        grant("blind", Scope.PAYLOADS, tenants=("acme",)),
        grant("stranger", Scope.READ, Scope.PAYLOADS, tenants=("acme",)),
        grant("other", Scope.READ, Scope.PAYLOADS, workflows=("count",)),
        step_logs=StepLogs(relay),
        limits=Limits(keepalive=0.05),
    ) as running:
        await running.post({"id": "order-1", **GREET}, **as_("seed"))
        await running.publish(published(1, Phase.RUNNING, steps=STEPS, namespace="argo", uid="u1"))
        yield running


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("blind", (403, "forbidden")),
        ("stranger", (404, "unknown-run")),
        ("other", (404, "unknown-run")),
    ],
)
async def test_a_log_needs_the_run_and_its_payloads(
    guarded: Gateway, relay: FakeLogRelay, name: str, expected: tuple[int, str]
) -> None:
    response = await guarded.client.get(ONE, headers=as_(name))
    assert (await problem_of(response))[:2] == expected
    assert relay.asked == []
