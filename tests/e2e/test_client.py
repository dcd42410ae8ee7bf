"""The Python client over the whole pipeline: over HTTP, over Kafka, and without `await`."""

import asyncio
from contextlib import aclosing

import pytest

from sluice_client import (
    IdConflictError,
    Phase,
    RunFailedError,
    RunHandle,
    RunRequest,
    sync,
)
from sluice_client import (
    Sluice as SluiceClient,
)
from sluice_client.kafka import KafkaSluice
from sluice_contracts.problems import ProblemType
from tests.support.client import OUTCOME_SECONDS
from tests.support.kafka import unique_name
from tests.support.sluice import Sluice
from tests.unit.runtime.clock import pause

pytestmark = pytest.mark.e2e

TEXT = {"text": "a b a", "workers": 2}


async def suspended(run: RunHandle, *, attempt: int = 1) -> str:
    """Follow a run until it is suspended; return the step that waits, and leave the stream."""
    async with asyncio.timeout(OUTCOME_SECONDS):
        while True:
            async with aclosing(run.events()) as events:
                async for event in events:
                    state = event.state
                    if state.phase is Phase.SUSPENDED and state.attempt >= attempt:
                        [waiting] = state.waiting_for
                        return waiting.step
            # The retry has not been read yet.
            await pause(0.05)


async def test_runs_are_started_followed_and_repeated(sluice: Sluice) -> None:
    run_id = unique_name("client")
    async with SluiceClient(sluice.url) as client:
        run = await client.start("map-reduce", TEXT, id=run_id, labels={"of": run_id})
        outcome = (await run.wait(OUTCOME_SECONDS)).raise_for_failure()
        assert outcome.outputs["total"] == "3"
        events = [event async for event in run.events()]
        assert events[-1].state.phase is Phase.SUCCEEDED
        for number, event in enumerate(events, 1):
            assert [each async for each in run.events(after=event.place)] == events[number:]

        assert (await client.start("map-reduce", TEXT, id=run_id)).id == run_id
        with pytest.raises(IdConflictError):
            await client.start("map-reduce", {**TEXT, "text": "b"}, id=run_id)
        assert [each.id async for each in client.runs(labels={"of": run_id})] == [run_id]

        again = await run.rerun(parameters={"text": "a"})
        assert (await again.wait(OUTCOME_SECONDS)).outputs["total"] == "1"
        assert (await again.state()).parent == run_id


async def test_an_approval_is_answered(sluice: Sluice) -> None:
    async with SluiceClient(sluice.url) as client:
        run = await client.start("approval", {"reason": "a new printer"})
        step = await suspended(run)
        await run.resume(step, {"decision": "approve", "comment": "fine"}, reason="asked for")
        outcome = (await run.wait(OUTCOME_SECONDS)).raise_for_failure()
        assert outcome.outputs["comment"] == "fine"


async def test_a_run_is_stopped_and_retried(sluice: Sluice) -> None:
    async with SluiceClient(sluice.url) as client:
        run = await client.start("approval", {"reason": "a new printer"})
        await suspended(run)
        await run.stop(reason="too dear")
        outcome = await run.wait(OUTCOME_SECONDS)
        assert outcome.phase is Phase.FAILED
        assert outcome.state.last_command is not None
        assert outcome.state.last_command.reason == "too dear"
        with pytest.raises(RunFailedError, match=run.id):
            outcome.raise_for_failure()

        await run.retry(reason="cheaper now")
        step = await suspended(run, attempt=2)
        await run.resume(step, {"decision": "approve"})
        again = await run.wait(OUTCOME_SECONDS, attempt=outcome.state.attempt + 1)
        assert again.raise_for_failure().state.attempt == 2


async def test_many_runs_are_started_and_all_are_followed(sluice: Sluice) -> None:
    name = unique_name("many")
    requests = [
        RunRequest(
            workflow="hello",
            id=f"{name}-{number}",
            parameters={"name": str(number)},
            labels={"of": name},
        )
        for number in range(5)
    ]
    async with SluiceClient(sluice.url) as client:
        items = await client.start_many(requests)
        runs = [item.raise_for_error() for item in items]
        outcomes = await asyncio.gather(*(run.wait(OUTCOME_SECONDS) for run in runs))
        assert [each.outputs["greeting"] for each in outcomes] == [
            f"Hello, {number}!" for number in range(5)
        ]
        counts = await client.counts(labels={"of": name})
        assert (counts.total, counts.counts) == (5, {Phase.SUCCEEDED: 5})


async def test_over_kafka_the_gateway_is_not_needed(sluice: Sluice) -> None:
    async with KafkaSluice(sluice.kafka.bootstrap_servers, topics=sluice.topics) as kafka:
        run = await kafka.start("map-reduce", TEXT)
        outcome = (await run.wait(OUTCOME_SECONDS)).raise_for_failure()
        assert outcome.outputs["total"] == "3"
        events = [event async for event in run.events()]

        rejected = await (await kafka.start("nope")).wait(OUTCOME_SECONDS)
        assert rejected.problem is not None
        assert rejected.problem.type is ProblemType.UNKNOWN_WORKFLOW

        await kafka.start("hello", {"name": "Ada"}, id=run.id)
        other = await kafka.start("hello", {"name": "Bob"}, id=run.id)
        with pytest.raises(IdConflictError):
            await other.wait(OUTCOME_SECONDS)

    async with SluiceClient(sluice.url) as client:
        over_http = [event async for event in client.run(run.id).events()]
        assert [event.place for event in over_http] == [event.place for event in events]
        behind = events[0].place
        assert [event.place async for event in client.run(run.id).events(after=behind)] == [
            event.place for event in events[1:]
        ]


async def test_an_approval_is_answered_over_kafka(sluice: Sluice) -> None:
    async with KafkaSluice(sluice.kafka.bootstrap_servers, topics=sluice.topics) as kafka:
        run = await kafka.start("approval", {"reason": "a new printer"})
        await run.resume(await suspended(run), {"decision": "approve", "comment": "fine"})
        outcome = (await run.wait(OUTCOME_SECONDS)).raise_for_failure()
        assert outcome.outputs["comment"] == "fine"


def test_without_await(sluice: Sluice) -> None:
    with sync.Sluice(sluice.url) as client:
        run = client.start("hello", {"name": "Ada"})
        assert run.wait(OUTCOME_SECONDS).raise_for_failure().outputs["greeting"] == "Hello, Ada!"
        assert list(run.events())[-1].state.terminal
