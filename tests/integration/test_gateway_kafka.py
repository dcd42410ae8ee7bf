"""The whole gateway in one process, on real Kafka."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sluice_contracts.api_keys import SECRET_BYTES, digest, write_key
from sluice_contracts.audit import AuditRecord, Verdict
from sluice_contracts.request_codec import ReceivedRun, decode_request
from sluice_contracts.status import Phase
from sluice_contracts.status_codec import encode_status
from sluice_contracts.topic_sets import Door
from sluice_contracts.topics import TopicNames
from sluice_gateway.auth_settings import AuthSettings
from sluice_gateway.bootstrap import Listening, serve
from sluice_gateway.settings import GatewaySettings, HttpSettings
from sluice_local.kafka import EmbeddedKafka
from sluice_runtime.kafka.consumer import incoming
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.probes import HealthSettings
from sluice_runtime.service import StartupError
from tests.support.kafka import (
    WAIT_SECONDS,
    KafkaServer,
    create_topic,
    delete_topic,
    produce,
    read_all,
    topic_names,
    unique_name,
)
from tests.unit.gateway.harness import published, step

pytestmark = pytest.mark.integration

HELLO = {"workflow": "hello", "parameters": {"name": "Ada"}}


@dataclass(frozen=True, kw_only=True)
class Running:
    """A gateway and a client of it."""

    session: aiohttp.ClientSession
    url: str
    health_url: str
    stop: asyncio.Event
    ended: "asyncio.Task[None]"

    async def post(self, document: object) -> tuple[int, dict[str, Any]]:
        async with self.session.post(f"{self.url}/v1/runs", json=document) as response:
            return response.status, await response.json(content_type=None)

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        async with self.session.get(f"{self.url}{path}") as response:
            return response.status, await response.json(content_type=None)

    async def ready(self) -> tuple[int, dict[str, Any]]:
        async with self.session.get(f"{self.health_url}/readyz") as response:
            return response.status, await response.json()

    async def metrics(self) -> str:
        async with self.session.get(f"{self.health_url}/metrics") as response:
            return await response.text()


@asynccontextmanager
async def gateway(
    kafka: KafkaServer,
    topics: TopicNames,
    data_dir: Path,
    *,
    farewell: timedelta = timedelta(0),
    replicas: int = 1,
    allowed_hosts: tuple[str, ...] = (),
    auth: AuthSettings | None = None,
    doors: tuple[Door, ...] = (),
    **settings: Any,
) -> AsyncIterator[Running]:
    """Run a gateway while the body does; by default it identifies nobody."""
    gateway_settings = GatewaySettings(
        auth=auth or AuthSettings(mode="none"),
        data_dir=data_dir,
        health=HealthSettings(port=0),
        http=HttpSettings(port=0, farewell=farewell, allowed_hosts=allowed_hosts),
        kafka=KafkaSettings(
            bootstrap_servers=kafka.bootstrap_servers,
            topics=topics,
            doors=doors,
            partitions=3,
            replication_factor=replicas,
        ),
        **settings,
    )
    stop = asyncio.Event()
    bound: asyncio.Future[Listening] = asyncio.get_running_loop().create_future()
    ended = asyncio.create_task(serve(gateway_settings, stop, listening=bound.set_result))
    either: set[asyncio.Future[Any]] = {ended, bound}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if ended.done():
        await ended
    where = bound.result()
    try:
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=WAIT_SECONDS)
        ) as session:
            running = Running(
                session=session,
                url=f"http://{where.host}:{where.port}",
                health_url=f"http://127.0.0.1:{where.health_port}",
                stop=stop,
                ended=ended,
            )
            await until(running.ready, lambda answer: answer[0] == 200)
            yield running
    finally:
        stop.set()
        await asyncio.wait({ended})
        if not ended.cancelled():
            ended.result()


async def until(
    ask: Callable[[], Awaitable[tuple[int, dict[str, Any]]]],
    enough: Callable[[tuple[int, dict[str, Any]]], bool],
) -> dict[str, Any]:
    """Ask again and again, a request at a time, until the answer is good."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not enough(answer := await ask()):
            pass
    return answer[1]


async def requests_on(kafka: KafkaServer, topics: TopicNames) -> list[ReceivedRun]:
    received = [decode_request(incoming(r)) for r in await read_all(kafka, topics.requests)]
    return [each for each in received if isinstance(each, ReceivedRun)]


async def publish(
    kafka: EmbeddedKafka, topics: TopicNames, sequence: int, phase: Phase, **details: Any
) -> None:
    record = encode_status(published(sequence, phase, **details), source="/test")
    await produce(kafka, topics.status, record.value, key=record.key, headers=list(record.headers))


async def test_a_run_accepted_by_one_replica_is_known_to_the_others_at_once(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    topics = topic_names("gateway")
    async with (
        gateway(kafka, topics, tmp_path / "one") as one,
        gateway(kafka, topics, tmp_path / "two") as two,
    ):
        for number in range(25):
            status, _ = await one.post({"id": f"order-{number}", **HELLO})
            assert status == 202
            status, found = await two.get(f"/v1/runs/order-{number}")
            assert (status, found["phase"]) == (200, "Accepted")
        assert (await two.get("/v1/runs/never-heard-of"))[0] == 404


async def test_a_run_from_its_post_to_its_last_event(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    topics = topic_names("gateway")
    async with gateway(kafka, topics, tmp_path) as running:
        status, accepted = await running.post({"id": "order-1", **HELLO})
        assert (status, accepted["phase"]) == (202, "Accepted")
        [received] = await requests_on(kafka, topics)
        assert str(received.key) == "default/order-1"

        status, state = await running.get(accepted["links"]["self"])
        assert (status, state["phase"]) == (200, "Accepted")
        async with running.session.get(f"{running.url}{accepted['links']['events']}") as events:
            assert await events.content.readuntil(b"\n\n") == b"retry: 2000\n\n"
            queued = await events.content.readuntil(b"\n\n")
            assert queued.startswith(b"event: sluice.request.queued\n")
            for sequence, phase in ((1, Phase.SUBMITTED), (2, Phase.RUNNING)):
                await publish(kafka, topics, sequence, phase, steps=(step(f"s{sequence}"),))
                assert json.loads((await _event(events))["data"])["phase"] == phase
            await publish(
                kafka, topics, 3, Phase.SUCCEEDED, fingerprint=received.request.fingerprint
            )
            last = await _event(events)
            assert json.loads(last["data"])["terminal"] is True
            assert await events.content.read() == b""
        resumed = await running.session.get(
            f"{running.url}{accepted['links']['events']}", headers={"Last-Event-ID": last["id"]}
        )
        assert resumed.status == 204

        status, again = await running.post({"id": "order-1", **HELLO})
        assert (status, again["phase"], len(again["steps"])) == (200, "Succeeded", 2)
        assert len(await requests_on(kafka, topics)) == 1
        text = await running.metrics()
        assert "sluice_gateway_events_projected_total 3.0" in text
        assert "sluice_gateway_accept_seconds_count 1.0" in text


async def test_fifty_posts_of_one_id_are_one_record(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    topics = topic_names("gateway")
    async with gateway(kafka, topics, tmp_path) as running:
        document = {"id": "order-1", **HELLO}
        answers = await asyncio.gather(*(running.post(document) for _ in range(50)))
        assert {status for status, _ in answers} <= {200, 202}
        assert {body.get("run_id") or body["id"] for _, body in answers} == {"order-1"}
        assert len(await requests_on(kafka, topics)) == 1


async def test_another_replica_knows_the_run_too(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    topics = topic_names("gateway")
    async with (
        gateway(kafka, topics, tmp_path / "a") as first,
        gateway(kafka, topics, tmp_path / "b") as second,
    ):
        await first.post({"id": "order-1", **HELLO})
        path = "/v1/runs/order-1"
        there = await until(lambda: second.get(path), lambda answer: answer[0] == 200)
        here = await until(lambda: first.get(path), lambda answer: answer[1] == there)
        assert here["accepted_at"] == there["accepted_at"]


async def test_a_view_that_is_kept_goes_on_and_one_that_is_lost_is_made_again(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    topics = topic_names("gateway")
    states: list[dict[str, Any]] = []
    for folder in ("kept", "kept", "lost"):
        async with gateway(kafka, topics, tmp_path / folder) as running:
            if not states:
                await running.post({"id": "order-1", **HELLO})
                await publish(kafka, topics, 3, Phase.RUNNING, steps=(step("a"), step("b")))
                # Answered once all records are read: the event may be read before the request,
                # whose record replaces the gateway's own time of acceptance.
                assert (await running.get("/v1/runs/unknown"))[0] == 404
            ask = partial(running.get, "/v1/runs/order-1")
            states.append(await until(ask, lambda answer: answer[1].get("phase") == "Running"))
    assert states[0] == states[1] == states[2]


async def test_kafka_may_go_and_come_back(own_kafka: EmbeddedKafka, tmp_path: Path) -> None:
    topics = topic_names("gateway")
    await own_kafka.start()
    async with gateway(own_kafka, topics, tmp_path, send_timeout=timedelta(seconds=1)) as running:
        assert (await running.post({"id": "before", **HELLO}))[0] == 202
        own_kafka.kill_for_test()
        status, problem = await running.post({"id": "order-1", **HELLO})
        assert (status, problem["type"]) == (503, "urn:sluice:problem:outcome-unknown")
        status, answer = await running.ready()
        assert (status, "kafka" in answer["waiting_for"]) == (503, True)

        await own_kafka.start()
        # No request is needed for it to find out.
        await until(running.ready, lambda answer: answer[0] == 200)
        status, _ = await running.post({"id": "order-1", **HELLO})
        assert status in (200, 202)
        found = {each.key.run_id for each in await requests_on(own_kafka, topics)}
        assert found == {"before", "order-1"}


async def test_a_topic_that_takes_no_records_holds_up_no_other_tenant(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    topics = topic_names("gateway")
    doors = (Door(name="acme", tenants=("acme",)),)
    patience = timedelta(seconds=2)
    async with gateway(kafka, topics, tmp_path, doors=doors, send_timeout=patience) as running:
        assert (await running.post({"tenant": "acme", **HELLO}))[0] == 202
        await delete_topic(kafka, f"{topics.requests}.acme")

        acme = partial(running.post, {"tenant": "acme", **HELLO})
        await until(acme, lambda answer: answer[0] == 503)
        refused, others = asyncio.Event(), list[int]()

        async def post_for_another() -> None:
            while not refused.is_set():
                others.append((await running.post(HELLO))[0])

        posting = [asyncio.create_task(post_for_another()) for _ in range(4)]
        for _ in range(3):
            status, problem = await acme()
            assert (status, problem["type"]) == (503, "urn:sluice:problem:outcome-unknown")
            assert (await running.ready())[0] == 200
        refused.set()
        await asyncio.gather(*posting)
        assert set(others) == {202}


async def test_topics_that_break_a_promise_are_a_refusal_to_start(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    topics = topic_names("gateway")
    await create_topic(kafka, topics.status, config={"cleanup.policy": "compact"})
    with pytest.raises(StartupError, match=r"cleanup\.policy"):
        async with gateway(kafka, topics, tmp_path):
            raise AssertionError("it must not start")


async def test_it_waits_for_kafka_and_says_so(own_kafka: EmbeddedKafka, tmp_path: Path) -> None:
    topics = topic_names("gateway")
    starting = asyncio.create_task(own_kafka.start())
    async with gateway(own_kafka, topics, tmp_path) as running:
        assert (await running.post(HELLO))[0] == 202
    await starting


async def test_stopping_ends_streams(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    topics = topic_names("gateway")
    async with gateway(kafka, topics, tmp_path) as running:
        await running.post({"id": "order-1", **HELLO})
        async with running.session.get(f"{running.url}/v1/runs/order-1/events") as events:
            assert await events.content.readuntil(b"\n\n") == b"retry: 2000\n\n"
            queued = await events.content.readuntil(b"\n\n")
            assert queued.startswith(b"event: sluice.request.queued\n")
            running.stop.set()
            assert await events.content.read() == b""
        await running.ended


async def test_a_stopping_gateway_serves_for_a_while_and_says_so(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    topics, hour = topic_names("gateway"), timedelta(hours=1)
    async with gateway(kafka, topics, tmp_path, farewell=hour, shutdown_grace=hour * 2) as running:
        running.stop.set()
        # Away from its Service, and yet it takes requests and keeps its view up to date.
        assert (await running.ready())[0] == 503
        async with running.session.post(
            f"{running.url}/v1/runs", json={"id": "late", **HELLO}
        ) as response:
            assert response.status == 202
            assert response.headers["Connection"] == "close"
        await until(lambda: running.get("/v1/runs/late"), lambda answer: answer[0] == 200)
        running.ended.cancel()
    assert [each.request.id for each in await requests_on(kafka, topics)] == ["late"]


async def test_it_serves_its_own_hosts_only(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    topics = topic_names("gateway")
    async with gateway(kafka, topics, tmp_path, allowed_hosts=("runs.example.com",)) as running:
        answers = {"runs.example.com": 200, "localhost": 200, "evil.example": 421}
        for host, status in answers.items():
            async with running.session.get(f"{running.url}/", headers={"Host": host}) as response:
                assert response.status == status


async def _event(response: aiohttp.ClientResponse) -> dict[str, str]:
    text = (await response.content.readuntil(b"\n\n")).decode().rstrip("\n")
    return dict(line.split(": ", 1) for line in text.split("\n"))


async def test_a_client_with_a_key_is_named_in_its_record_and_in_the_audit(
    kafka: KafkaServer, tmp_path: Path
) -> None:
    topics = topic_names("identities")
    key = write_key("4fT9kQ2mZx8B", b"\x01" * SECRET_BYTES)
    (tmp_path / "keys.yaml").write_text(
        f'keys: [{{id: 4fT9kQ2mZx8B, principal: ci, secrets: [{{sha256: "{digest(key).hex()}"}}]}}]'
    )
    (tmp_path / "grants.yaml").write_text(
        "grants: [{principals: [api_key:ci], tenants: [default], workflows: [hello], "
        "scopes: ['runs:start']}]"
    )
    auth = AuthSettings(
        mode="required",
        keys_file=tmp_path / "keys.yaml",
        grants_file=tmp_path / "grants.yaml",
        audit_topic=unique_name("audit"),
    )
    async with gateway(kafka, topics, tmp_path, auth=auth) as running:
        assert (await running.post({"id": "order-1", **HELLO}))[0] == 401
        running.session.headers["Authorization"] = f"Bearer {key}"
        assert (await running.post({"id": "order-1", **HELLO}))[0] == 202
        assert (await running.get("/v1/runs/order-1"))[0] == 403
    [request] = await read_all(kafka, topics.requests)
    assert dict(request.headers)["ce_authid"] == b"api_key:ci"
    # All of it is there once the gateway has stopped.
    written = await read_all(kafka, auth.audit_topic)
    audit = [AuditRecord.model_validate_json(each.value) for each in written]
    assert {(each.operation, each.principal, each.verdict) for each in audit} == {
        ("startRun", None, Verdict.REFUSED),
        ("startRun", "api_key:ci", Verdict.ACCEPTED),
        ("getRun", "api_key:ci", Verdict.REFUSED),
    }
