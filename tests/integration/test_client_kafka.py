"""The client over Kafka, on a real one; the test is the dispatcher and the status-watcher."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import pytest

from sluice_client import (
    Event,
    EventsGoneError,
    IdConflictError,
    InvalidRequestError,
    Phase,
    RunHandle,
    RunRequest,
    RunStarter,
    UnreachableError,
    WaitTimeoutError,
)
from sluice_client.kafka import KafkaRun, KafkaSluice
from sluice_contracts.http_documents import HttpProblem
from sluice_contracts.notices import RefusalNotice
from sluice_contracts.problems import ProblemType, problem
from sluice_contracts.records import OutgoingRecord
from sluice_contracts.request_codec import ReceivedCommand, ReceivedRun, decode_request
from sluice_contracts.requests import ResumeCommand, RetryCommand
from sluice_contracts.status_codec import encode_notice, encode_status
from sluice_contracts.topics import MAX_REQUEST_BYTES, TopicNames
from sluice_runtime.kafka.consumer import incoming
from tests.support.client_page import examples, execute
from tests.support.kafka import (
    KafkaServer,
    create_topic,
    produce,
    read_all,
    read_count,
    topic_names,
)
from tests.unit.gateway.harness import NOW, published

pytestmark = pytest.mark.integration

ADA = {"name": "Ada"}


@dataclass(frozen=True, kw_only=True)
class Stage:
    sluice: KafkaSluice
    kafka: KafkaServer
    topics: TopicNames
    sequences: "itertools.count[int]"

    async def publish(self, run: RunHandle, phase: Phase, **changes: Any) -> None:
        event = published(next(self.sequences), phase, run_id=run.id, tenant=run.tenant, **changes)
        await self.write(encode_status(event, source="/test"))

    async def write(self, record: OutgoingRecord) -> None:
        await produce(
            self.kafka,
            self.topics.status,
            record.value,
            key=record.key,
            headers=list(record.headers),
        )

    async def requests(self) -> list[ReceivedRun | ReceivedCommand]:
        records = await read_all(self.kafka, self.topics.requests)
        return [decode_request(incoming(record)) for record in records]


@pytest.fixture
async def stage(kafka: KafkaServer) -> AsyncIterator[Stage]:
    topics = topic_names("client")
    for topic in (topics.requests, topics.status):
        config = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": "2097152"}
        await create_topic(kafka, topic, partitions=3, config=config)
    async with KafkaSluice(kafka.bootstrap_servers, topics=topics) as sluice:
        yield Stage(sluice=sluice, kafka=kafka, topics=topics, sequences=itertools.count(1))


async def test_a_request_is_a_record_as_sluice_reads_it(stage: Stage) -> None:
    run = await stage.sluice.start(
        "greet", ADA, id="order-1", tenant="acme", labels={"team": "a"}, priority="high"
    )
    [received] = await stage.requests()
    assert isinstance(received, ReceivedRun)
    assert (str(received.key), run.id, run.tenant) == ("acme/order-1", "order-1", "acme")
    request = received.request
    assert (request.workflow, request.parameters) == ("greet", ADA)
    assert (request.labels, request.priority) == ({"team": "a"}, "high")


async def test_a_wait_ends_with_the_run(stage: Stage) -> None:
    run = await stage.sluice.start("greet", ADA)
    other = await stage.sluice.start("greet", ADA)
    waiting = asyncio.create_task(run.wait(30))
    await stage.publish(other, Phase.FAILED)
    await stage.publish(run, Phase.RUNNING)
    await stage.publish(run, Phase.SUCCEEDED, outputs={"greeting": "Hi"})
    assert (await waiting).raise_for_failure().outputs == {"greeting": "Hi"}
    # One that is found by its id alone.
    assert (await stage.sluice.run(run.id).wait(30)).succeeded


async def test_a_wait_has_an_end(stage: Stage) -> None:
    run = await stage.sluice.start("greet", ADA)
    with pytest.raises(WaitTimeoutError, match=r"is not over after 0\.1 s"):
        await run.wait(0.1)


async def test_events_resume_behind_each_place(stage: Stage) -> None:
    run = await stage.sluice.start("greet", ADA)
    for phase in (Phase.RUNNING, Phase.SUSPENDED, Phase.SUCCEEDED):
        await stage.publish(run, phase)
    events = [event async for event in run.events()]
    assert [event.state.phase for event in events] == ["Running", "Suspended", "Succeeded"]
    assert events[0].type == "sluice.run.running"
    for number, event in enumerate(events, 1):
        assert [each async for each in run.events(after=event.place)] == events[number:]
        door = f"acme/{event.place}"
        assert [each async for each in run.events(after=door)] == events[number:]


async def test_copies_and_late_events_are_left_out(stage: Stage) -> None:
    run = await stage.sluice.start("greet", ADA)
    records = [
        encode_status(published(sequence, phase, run_id=run.id), source="/test")
        for sequence, phase in ((1, Phase.RUNNING), (3, Phase.SUSPENDED), (2, Phase.PENDING))
    ]
    for record in [*records, records[1]]:
        await stage.write(record)
    await stage.write(OutgoingRecord(key=records[0].key, value=b"not one of ours"))
    await stage.write(encode_status(published(4, Phase.SUCCEEDED, run_id=run.id), source="/test"))
    assert [event.state.sequence async for event in run.events()] == [1, 3, 4]


async def test_the_events_of_all_runs_resume_behind_each_place(stage: Stage) -> None:
    runs = [await stage.sluice.start("greet", ADA) for _ in range(4)]
    await stage.publish(runs[0], Phase.RUNNING)
    begin = "0:0,1:0,2:0,acme/0:7"
    found: list[Event] = []
    async with asyncio.timeout(30), aclosing(stage.sluice.events(after=begin)) as events:
        async for event in events:
            found.append(event)
            if len(found) == 1:
                for run in runs:
                    await stage.publish(run, Phase.SUCCEEDED, labels={"of": run.id})
            if len(found) == 5:
                break
    assert sorted(each.state.run_id for each in found[1:]) == sorted(run.id for run in runs)
    for number, event in enumerate(found[:-1], 1):
        async with asyncio.timeout(30), aclosing(stage.sluice.events(after=event.place)) as events:
            rest = [await anext(events) for _ in found[number:]]
        assert {each.state.event_id for each in rest} == {
            each.state.event_id for each in found[number:]
        }
    labels = {"of": runs[2].id}
    async with (
        asyncio.timeout(30),
        aclosing(stage.sluice.events(after=begin, labels=labels)) as events,
    ):
        assert (await anext(events)).state.run_id == runs[2].id


async def test_the_topics_are_counted(stage: Stage) -> None:
    topics = stage.topics
    assert await stage.sluice.partitions() == {topics.requests: 3, topics.status: 3}


async def test_events_of_all_runs_that_are_no_longer_kept_are_gone(stage: Stage) -> None:
    with pytest.raises(EventsGoneError):
        await anext(stage.sluice.events(after="0:4711"))
    with pytest.raises(ValueError, match="must be that of an event of all runs"):
        await anext(stage.sluice.events(after="nowhere"))


async def test_a_run_that_was_retried_goes_on(stage: Stage) -> None:
    run = await stage.sluice.start("greet", ADA)
    await stage.publish(run, Phase.FAILED)
    await stage.publish(run, Phase.RUNNING, attempt=2)
    async with aclosing(run.events()) as events:
        assert (await anext(events)).state.phase is Phase.FAILED
        assert (await anext(events)).state.attempt == 2
        await stage.publish(run, Phase.SUCCEEDED, attempt=2)
        assert [event.state.phase async for event in events] == [Phase.SUCCEEDED]


async def test_a_wait_may_be_for_a_later_attempt(stage: Stage) -> None:
    run = await stage.sluice.start("greet", ADA)
    await stage.publish(run, Phase.FAILED)
    waiting = asyncio.create_task(run.wait(30, attempt=2))
    await asyncio.sleep(0)
    await stage.publish(run, Phase.RUNNING, attempt=2)
    await stage.publish(run, Phase.SUCCEEDED, attempt=2)
    assert (await waiting).succeeded
    with pytest.raises(WaitTimeoutError):
        await run.wait(0.1, attempt=3)


async def test_a_request_that_is_refused_for_its_id_is_a_conflict(stage: Stage) -> None:
    first = await stage.sluice.start("greet", ADA, id="order-1")
    second = await stage.sluice.start("greet", {"name": "Bob"}, id="order-1")
    [_, record] = await read_all(stage.kafka, stage.topics.requests)
    notice = RefusalNotice(
        event_id="1",
        run_id="order-1",
        tenant="default",
        request=f"{record.topic}/{record.partition}@{record.offset}",
        problem=problem(ProblemType.ID_CONFLICT, "This id belongs to another run."),
        observed_at=NOW,
    )
    await stage.write(encode_notice(notice, source="/test", traceparent=None))
    await stage.publish(first, Phase.SUCCEEDED)
    with pytest.raises(IdConflictError, match="belongs to another run"):
        await second.wait(30)
    assert (await first.wait(30)).succeeded


async def test_the_outcome_of_a_run_with_other_content_is_not_that_of_the_request(
    stage: Stage,
) -> None:
    first = await stage.sluice.start("greet", ADA, id="order-1")
    content = RunRequest(workflow="greet", parameters=ADA).fingerprint
    event = published(1, Phase.SUCCEEDED, run_id="order-1", fingerprint=content)
    await stage.write(encode_status(event, source="/test"))
    same = await stage.sluice.start("greet", ADA, id="order-1")
    other = await stage.sluice.start("greet", {"name": "Bob"}, id="order-1")
    assert (await first.wait(30)).succeeded
    assert (await same.wait(30)).succeeded
    with pytest.raises(IdConflictError, match="order-1"):
        await other.wait(30)


async def test_commands_are_records_as_sluice_reads_them(stage: Stage) -> None:
    run = await stage.sluice.start("greet", ADA, id="order-1")
    await run.resume("approve", {"decision": "yes"}, reason="fine")
    await run.suspend()
    await run.terminate()
    await run.stop(reason="ordered twice")
    place = await run.retry("count(3)", restart_succeeded=True)
    received = await stage.requests()
    commands = [each.command for each in received if isinstance(each, ReceivedCommand)]
    assert [(each.type, each.reason) for each in commands] == [
        ("resume", "fine"),
        ("suspend", None),
        ("terminate", None),
        ("stop", "ordered twice"),
        ("retry", None),
    ]
    assert {str(each.key) for each in commands} == {"default/order-1"}
    resume, retry = commands[0], commands[-1]
    assert isinstance(resume, ResumeCommand)
    assert (resume.step, resume.values) == ("approve", {"decision": "yes"})
    assert isinstance(retry, RetryCommand)
    assert (retry.step, retry.restart_succeeded) == ("count(3)", True)
    last = (await read_all(stage.kafka, stage.topics.requests))[-1]
    assert place == f"{last.topic}/{last.partition}@{last.offset}"


async def test_a_large_request_is_written_and_one_that_is_too_large_is_refused(
    stage: Stage,
) -> None:
    await stage.sluice.start("greet", {"text": "a" * (MAX_REQUEST_BYTES - 1000)})
    assert len(await read_all(stage.kafka, stage.topics.requests)) == 1
    with pytest.raises(InvalidRequestError) as raised:
        await stage.sluice.start("greet", {"text": "a" * 5_000_000})
    assert isinstance(raised.value.problem, HttpProblem)
    assert raised.value.problem.type == ProblemType.TOO_LARGE


async def test_events_that_are_no_longer_kept_are_gone(stage: Stage) -> None:
    run = stage.sluice.run("order-1")
    with pytest.raises(EventsGoneError, match="no longer kept"):
        await anext(run.events(after="0:4711"))
    with pytest.raises(ValueError, match="as in 3:4711"):
        await anext(run.events(after="yesterday"))


async def test_the_example_of_the_page_does_what_it_says(stage: Stage) -> None:
    [example] = [each for each in examples() if each.kind == "python kafka"]
    program = example.program.replace(
        '"localhost:9092"', f'"{stage.kafka.bootstrap_servers}", topics=topics'
    )

    async def end() -> None:
        [record] = await read_count(stage.kafka, stage.topics.requests, 1)
        received = decode_request(incoming(record))
        assert isinstance(received, ReceivedRun)
        await stage.publish(stage.sluice.run(received.key.run_id), Phase.SUCCEEDED)

    ending = asyncio.create_task(end())
    assert await execute(program, {"topics": stage.topics}) == example.printed
    await ending


async def test_no_broker_is_unreachable() -> None:
    with pytest.raises(UnreachableError, match="No broker answered"):
        async with KafkaSluice("127.0.0.1:1"):
            raise AssertionError


def test_both_clients_are_what_code_of_users_may_expect(stage: Stage) -> None:
    starter: RunStarter[KafkaRun] = stage.sluice
    run: RunHandle = stage.sluice.run("order-1")
    assert starter is stage.sluice
    assert run.id == "order-1"
