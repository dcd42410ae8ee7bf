"""The fake keeps to what the real client does, and lets a test say what happens."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from sluice_client import (
    InvalidRequestError,
    LogGoneError,
    OutcomeUnknownError,
    Phase,
    ProblemType,
    UnavailableError,
)
from sluice_client.fake import FakeSluice
from sluice_contracts.steps import Step
from tests.behaviour.client_port import ADA, ClientPortSuite, Stage


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with FakeSluice({"greet": None}) as fake:

        async def publish(
            run_id: str, phase: Phase, *, tenant: str = "default", **changes: Any
        ) -> None:
            fake.publish(run_id, phase, tenant=tenant, **changes)

        async def reject(value: str, kind: ProblemType) -> str:
            return fake.reject(value, kind=kind)

        async def write_log(run_id: str, step: str, *lines: str) -> None:
            fake.write_log(run_id, step, *lines)

        yield Stage(
            sluice=fake,
            publish=publish,
            reject=reject,
            write_log=write_log,
            commands=lambda: fake.commands,
        )


class TestFakeSluice(ClientPortSuite):
    pass


async def test_a_workflow_does_what_its_function_does() -> None:
    def greet(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"greeting": f"Hi {parameters['name']}"}

    async with FakeSluice({"greet": greet}) as sluice:
        run = await sluice.start("greet", ADA)
        assert (await run.wait()).outputs == {"greeting": "Hi Ada"}
        failed = await (await sluice.start("greet", {})).wait()
        assert (failed.phase, failed.state.message) == (Phase.FAILED, "'name'")


async def test_without_workflows_all_exist_and_all_runs_are_held() -> None:
    async with FakeSluice() as sluice:
        run = await sluice.start("anything")
        assert (await run.state()).phase is Phase.ACCEPTED
        sluice.publish(run.id, Phase.SUCCEEDED, outputs={"text": "done"})
        assert (await run.wait()).outputs == {"text": "done"}
        assert [each.workflow for each in sluice.requests] == ["anything"]


async def test_a_log_is_followed_until_the_run_is_over() -> None:
    async with FakeSluice() as sluice:
        run = await sluice.start("anything")
        sluice.write_log(run.id, "step", "a")
        lines = run.logs("step", follow=True)
        assert str(await anext(lines)) == "a"
        sluice.write_log(run.id, "step", "b")
        assert str(await anext(lines)) == "b"
        sluice.publish(run.id, Phase.SUCCEEDED)
        assert [each async for each in lines] == []


async def test_a_log_ends_with_its_step_and_goes_with_its_pod() -> None:
    async with FakeSluice() as sluice:
        run = await sluice.start("anything")
        step = Step(id="id-1", name="step", type="Pod", phase="Running", logs={"main": "s3://a/b"})
        sluice.write_log(run.id, "step", "a")
        sluice.publish(run.id, Phase.RUNNING, steps=(step,))
        lines = run.logs("id-1", follow=True)
        assert str(await anext(lines)) == "a"
        sluice.write_log(run.id, "step", "b")
        sluice.write_log(run.id, "id-1", "c")
        assert [str(await anext(lines)) for _ in "bc"] == ["b", "c"]
        over = step.model_copy(update={"phase": "Succeeded"})
        sluice.publish(run.id, Phase.RUNNING, steps=(over,))
        assert [each async for each in lines] == []
        sluice.delete_log(run.id, "step")
        with pytest.raises(LogGoneError, match="s3://a/b"):
            await anext(run.logs("id-1"))


async def test_commands_have_their_effect() -> None:
    async with FakeSluice() as sluice:
        run = await sluice.start("anything")
        sluice.publish(run.id, Phase.SUSPENDED)
        await run.resume()
        assert (await run.state()).phase is Phase.RUNNING
        await run.stop(reason="enough")
        outcome = await run.wait()
        assert outcome.phase is Phase.FAILED
        assert outcome.state.last_command is not None
        assert outcome.state.last_command.reason == "enough"
        await run.retry()
        assert (await run.state()).attempt == 2


async def test_an_answer_that_is_lost_starts_no_second_run() -> None:
    async with FakeSluice() as sluice:
        sluice.fail_next(ProblemType.OUTCOME_UNKNOWN, carried_out=True)
        run = await sluice.start("anything")
        assert [each.id for each in sluice.requests] == [run.id]


async def test_a_command_that_may_have_been_carried_out_is_repeated_only_if_that_is_safe() -> None:
    async with FakeSluice() as sluice:
        run = await sluice.start("anything")
        sluice.fail_next(ProblemType.OUTCOME_UNKNOWN, carried_out=True)
        await run.stop()
        sluice.fail_next(ProblemType.OUTCOME_UNKNOWN, carried_out=True)
        with pytest.raises(OutcomeUnknownError, match=f"Read run '{run.id}', and repeat retry"):
            await run.retry()
        sluice.fail_next(ProblemType.UNAVAILABLE)
        await run.retry()
        assert [each.type for each in sluice.commands] == ["stop", "stop", "retry", "retry"]


async def test_a_replay_that_may_have_been_carried_out_is_left_to_the_caller() -> None:
    async with FakeSluice() as sluice:
        letter = sluice.reject('{"type": "stop", "id": "order-1"}')
        await sluice.start("anything", id="order-1")
        sluice.fail_next(ProblemType.OUTCOME_UNKNOWN, carried_out=True)
        with pytest.raises(OutcomeUnknownError, match="replay it again if it is still open"):
            await sluice.dead_letters.replay(letter)
        assert [each.type for each in sluice.commands] == ["stop"]


async def test_failures_that_last_are_raised() -> None:
    async with FakeSluice() as sluice:
        sluice.fail_next(ProblemType.UNAVAILABLE, times=1_000_000)
        with pytest.raises(UnavailableError) as raised:
            await sluice.counts()
        assert raised.value.problem.type == ProblemType.UNAVAILABLE


async def test_values_are_in_no_text() -> None:
    secret = "correct horse battery staple"
    async with FakeSluice({"greet": lambda _: {"text": secret}}) as sluice:
        run = await sluice.start("greet", {"name": secret})
        outcome = await run.wait()
        events = [event async for event in run.events()]
        with pytest.raises(InvalidRequestError) as raised:
            await sluice.start("greet", {"name": float("nan"), "other": secret})
        for shown in (sluice, run, outcome, *events, raised.value):
            assert secret not in repr(shown) + str(shown)
