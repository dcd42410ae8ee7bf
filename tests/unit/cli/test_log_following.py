"""Logs are followed to the end of the run, also those of steps that are still to come."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast
from unittest.mock import AsyncMock, patch

import pytest

from sluice_cli.domain.exit_codes import ExitCode
from sluice_cli.domain.log_sources import LogSource
from sluice_cli.domain.profiles import Profile, connection_of
from sluice_cli.ports import Document, Screen, Session
from sluice_cli.services.log_reading import LogPart, LogReader
from sluice_cli.services.logs import show_logs
from sluice_client import ForbiddenError, NotFoundError, Phase, ProblemType
from sluice_client.fake import FakeSluice
from sluice_client.fake_documents import RefusedError
from sluice_client.transport import BrokenError
from sluice_contracts.graphs import PlannedGraph, PlannedStep
from sluice_contracts.steps import Step

FOLLOW = LogPart(follow=True)


class Lines:
    """A screen that keeps what is written, and wakes who waits for it."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.notes: list[str] = []
        self._more = asyncio.Event()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def log(self, document: Document, *, text: str) -> None:
        self.shown.append(text)
        self._more.set()

    def note(self, text: str) -> None:
        self.notes.append(text)

    async def seen(self, *texts: str) -> None:
        """Wait until these lines are shown, in any order."""
        while not set(texts) <= set(self.shown):
            self._more.clear()
            await self._more.wait()


class Following:
    """A person who follows the logs of the run `order-1`."""

    def __init__(self, sluice: FakeSluice, step: str | None = None) -> None:
        self.screen = Lines()
        self._sluice = sluice
        session = Session(connection=connection_of(Profile()), screen=cast("Screen", self.screen))
        self.done = asyncio.ensure_future(
            show_logs(sluice, session, run_id="order-1", step=step, part=FOLLOW)
        )

    async def listens(self) -> None:
        """Wait until the person waits for what happens to the run."""
        while not self._sluice._runs_of_test._waiting:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)

    def publish(self, *steps: Step, phase: Phase = Phase.RUNNING, **changes: Any) -> None:
        self._sluice.publish("order-1", phase, steps=steps, **changes)


@asynccontextmanager
async def held() -> AsyncGenerator[FakeSluice]:
    async with FakeSluice() as sluice:
        await sluice.start("talk", id="order-1")
        yield sluice


def pod(name: str, phase: str = "Running") -> Step:
    return Step(id=f"id-{name}", name=name, type="Pod", phase=phase)


async def test_steps_are_followed_from_their_start_to_the_end_of_the_run() -> None:
    async with held() as sluice:
        following = Following(sluice)
        await following.listens()
        following.publish(pod("one"), pod("two", "Pending"))
        sluice.write_log("order-1", "one", "a")
        await following.screen.seen("one | a")
        following.publish(pod("one"), pod("two"), pod("none", "Skipped"))
        sluice.write_log("order-1", "two", "b")
        await following.screen.seen("two | b")
        sluice.write_log("order-1", "one", "c")
        await following.screen.seen("one | c")
        following.publish(pod("one", "Succeeded"), pod("two", "Failed"), phase=Phase.FAILED)
        assert await following.done is ExitCode.SUCCESS
        assert following.screen.shown == ["one | a", "two | b", "one | c"]


async def test_a_named_step_is_waited_for() -> None:
    async with held() as sluice:
        following = Following(sluice, "two")
        await following.listens()
        following.publish(pod("one"))
        sluice.write_log("order-1", "one", "a")
        following.publish(pod("one"), pod("two"))
        sluice.write_log("order-1", "two", "b")
        await following.screen.seen("b")
        following.publish(pod("one"), pod("two", "Succeeded"))
        assert await following.done is ExitCode.SUCCESS
        assert following.screen.shown == ["b"]


async def test_a_named_step_that_never_comes_is_not_found() -> None:
    async with held() as sluice:
        following = Following(sluice, "two")
        await following.listens()
        following.publish(pod("one"), phase=Phase.SUCCEEDED)
        with pytest.raises(NotFoundError):
            await following.done


async def test_a_workflow_of_one_step_needs_no_names() -> None:
    async with FakeSluice({"talk": None}) as sluice:
        await sluice.start("talk", id="order-1")
        graph = PlannedGraph(steps=(PlannedStep(id="talk", name="talk", kind="Pod"),))
        planned = (await sluice.workflow("talk")).model_copy(update={"graph": graph})
        with patch.object(sluice, "workflow", AsyncMock(return_value=planned)):
            following = Following(sluice)
            following.publish(pod("talk"))
            sluice.write_log("order-1", "talk", "a")
            await following.screen.seen("a")
            following.publish(pod("talk", "Succeeded"), phase=Phase.SUCCEEDED)
            assert await following.done is ExitCode.SUCCESS


async def test_a_log_goes_on_behind_its_last_line_after_a_broken_connection() -> None:
    async with held() as sluice:
        whole = sluice._gateway._log

        async def cut(*args: Any, **options: Any) -> AsyncGenerator[bytes]:
            async for frame in whole(*args, **options):
                yield frame
                raise BrokenError("connection lost")

        with patch.object(sluice._gateway, "_log", cut):
            following = Following(sluice, "one")
            following.publish(pod("one"))
            sluice.write_log("order-1", "one", "a", "b", "c")
            await following.screen.seen("a", "b", "c")
        following.publish(pod("one", "Succeeded"))
        assert await following.done is ExitCode.SUCCESS
        assert following.screen.shown == ["a", "b", "c"]


async def test_a_gateway_that_knows_less_than_the_one_before_repeats_no_line() -> None:
    async with held() as sluice:
        sluice.publish("order-1", Phase.RUNNING, steps=(pod("one", "Succeeded"),))
        sluice.write_log("order-1", "one", "a", "b")
        gateway = sluice._gateway
        whole, opened, openings = gateway._log, gateway._opened, [0]

        async def cut(*args: Any, **options: Any) -> AsyncGenerator[bytes]:
            async for frame in whole(*args, **options):
                yield frame
                if openings == [1]:
                    raise BrokenError("connection lost")

        def behind(*args: Any) -> Any:
            openings[0] += 1
            if openings == [2]:
                raise RefusedError(ProblemType.NOT_FOUND, "Not yet.")
            return opened(*args)

        screen = Lines()
        run = sluice.run("order-1")
        reader = LogReader(run, cast("Screen", screen), part=LogPart(), sleep=AsyncMock())
        source = LogSource(step="id-one", name="one", shown="one", phase="Succeeded")
        with patch.object(gateway, "_log", cut), patch.object(gateway, "_opened", behind):
            await reader.show(source)
        assert screen.shown == ["a", "b"]
        assert openings == [3]


async def test_what_a_retry_has_replaced_is_not_looked_for() -> None:
    async with held() as sluice:
        sluice.publish("order-1", Phase.FAILED, steps=(pod("old", "Failed"),))
        sluice.publish("order-1", Phase.RUNNING, steps=(pod("new"),), attempt=2)
        sluice.write_log("order-1", "new", "a")
        following = Following(sluice)
        await following.screen.seen("new | a")
        following.publish(pod("new", "Succeeded"), phase=Phase.SUCCEEDED)
        assert await following.done is ExitCode.SUCCESS
        assert following.screen.notes == []


async def test_a_failure_of_one_log_is_the_failure_of_all() -> None:
    async with held() as sluice:
        refusal = RefusedError(ProblemType.FORBIDDEN, "A log may hold values.")
        with patch.object(sluice._gateway, "_opened", side_effect=refusal):
            following = Following(sluice)
            following.publish(pod("one"), pod("two"))
            with pytest.raises(ForbiddenError):
                await following.done


async def test_many_logs_are_followed_some_at_a_time() -> None:
    names = [f"step-{number:02}" for number in range(25)]
    async with held() as sluice:
        following = Following(sluice)
        for name in names:
            sluice.write_log("order-1", name, "a")
        following.publish(*map(pod, names))
        await following.screen.seen(*(f"{name} | a" for name in names[:20]))
        assert len(following.screen.shown) == 20
        assert following.screen.notes == ["20 logs are followed at a time; others come later."]
        following.publish(*(pod(name, "Succeeded") for name in names), phase=Phase.SUCCEEDED)
        assert await following.done is ExitCode.SUCCESS
        assert sorted(following.screen.shown) == [f"{name} | a" for name in names]


async def test_steps_that_have_not_started_take_no_place() -> None:
    async with held() as sluice:
        following = Following(sluice)
        waiting = [pod(f"step-{number:02}", "Pending") for number in range(25)]
        sluice.write_log("order-1", "late", "a")
        following.publish(*waiting, pod("late"))
        await following.screen.seen("late | a")
        assert following.screen.notes == []
        following.publish(pod("late", "Succeeded"), phase=Phase.FAILED)
        assert await following.done is ExitCode.SUCCESS


@pytest.mark.parametrize("late", [1, 5])
async def test_a_step_that_another_gateway_has_shown_is_asked_for_again(late: int) -> None:
    async with held() as sluice:
        pauses: list[float] = []

        async def sleep(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == late:
                sluice.write_log("order-1", "id-one", "a")

        screen = Lines()
        run = sluice.run("order-1")
        reader = LogReader(run, cast("Screen", screen), part=LogPart(), sleep=sleep)
        source = LogSource(step="id-one", name="one", shown="one", phase="Running")
        assert await reader.show_if_any(source, named=True) is (late == 1)
        assert screen.shown == (["one | a"] if late == 1 else [])
        assert pauses == [1.0] * min(late, 4)
