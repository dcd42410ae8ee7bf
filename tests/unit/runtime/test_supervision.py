"""The tasks of a process: the first that ends stops the others."""

import asyncio
import os
import signal
from datetime import timedelta
from typing import Any

import pytest

from sluice_runtime import supervision
from sluice_runtime.supervision import TaskEndedError, run_tasks, stop_on_signals
from tests.unit.runtime.clock import now, pause
from tests.unit.runtime.log_capture import captured

pytestmark = pytest.mark.looptime

GRACE = timedelta(seconds=20)


class BoomError(Exception):
    """A task's error."""


class Eternal:
    """A task that runs until it is cancelled, and then cleans up."""

    def __init__(self, *, cleanup_takes: float = 0) -> None:
        self.started = asyncio.Event()
        self.cleaned_up = False
        self._cleanup_takes = cleanup_takes

    async def run(self) -> None:
        try:
            self.started.set()
            await asyncio.Event().wait()
        finally:
            await pause(self._cleanup_takes)
            self.cleaned_up = True


async def _ends_after(seconds: float) -> None:
    await pause(seconds)


async def _fails_after(seconds: float) -> None:
    await pause(seconds)
    raise BoomError


async def test_tasks_run_until_stop_is_set() -> None:
    one, two, stop = Eternal(), Eternal(cleanup_takes=3), asyncio.Event()
    supervised = asyncio.create_task(
        run_tasks({"one": one.run(), "two": two.run()}, stop=stop, grace=GRACE)
    )
    await one.started.wait()
    await two.started.wait()
    stop.set()
    await supervised
    assert (one.cleaned_up, two.cleaned_up, now()) == (True, True, 3)


async def test_the_first_failed_task_ends_all_and_is_the_cause() -> None:
    other = Eternal()
    tasks = {"consumer": _fails_after(5), "other": other.run()}
    with pytest.raises(TaskEndedError, match="consumer ended by itself") as caught:
        await run_tasks(tasks, stop=asyncio.Event(), grace=GRACE)
    assert isinstance(caught.value.__cause__, BoomError)
    assert (other.cleaned_up, now()) == (True, 5)


async def test_a_task_that_returns_ends_all() -> None:
    other = Eternal()
    tasks = {"consumer": _ends_after(5), "other": other.run()}
    with pytest.raises(TaskEndedError, match="consumer ended by itself") as caught:
        await run_tasks(tasks, stop=asyncio.Event(), grace=GRACE)
    assert caught.value.__cause__ is None
    assert other.cleaned_up


async def test_a_task_cancelled_from_within_ends_all() -> None:
    """It has no error: awaiting a cancelled future looks like being cancelled."""

    async def waits_for_what_is_cancelled() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    with pytest.raises(TaskEndedError, match="consumer ended by itself"):
        await run_tasks(
            {"consumer": waits_for_what_is_cancelled(), "other": Eternal().run()},
            stop=asyncio.Event(),
            grace=GRACE,
        )


async def test_a_task_may_end_after_stop() -> None:
    stop = asyncio.Event()

    async def ends_on_stop() -> None:
        await stop.wait()

    supervised = asyncio.create_task(run_tasks({"polite": ends_on_stop()}, stop=stop, grace=GRACE))
    await pause(1)
    stop.set()
    await supervised


async def test_stop_set_before_the_start() -> None:
    stop, task = asyncio.Event(), Eternal()
    stop.set()
    await run_tasks({"task": task.run()}, stop=stop, grace=GRACE)
    assert task.cleaned_up is task.started.is_set()


async def test_a_task_that_does_not_stop_is_named() -> None:
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    before = asyncio.all_tasks()
    with captured(supervision) as logged, pytest.raises(TaskEndedError, match="consumer"):
        await run_tasks(
            {"consumer": _fails_after(1), "stubborn": stubborn()}, stop=asyncio.Event(), grace=GRACE
        )
    assert now() == 21
    (stuck,) = [event for event in logged if event["event"] == "task does not stop"]
    assert stuck["task"] == "stubborn"
    assert __file__ in stuck["stack"]
    release.set()
    await asyncio.gather(*(asyncio.all_tasks() - before))


async def test_a_failure_while_stopping_is_logged() -> None:
    async def fails_to_stop() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise BoomError

    stop = asyncio.Event()
    supervised = asyncio.create_task(run_tasks({"bad": fails_to_stop()}, stop=stop, grace=GRACE))
    await pause(1)
    with captured(supervision) as logged:
        stop.set()
        await supervised
    assert [(event["event"], event["task"]) for event in logged] == [
        ("task failed while stopping", "bad")
    ]


async def test_a_failure_is_logged_once() -> None:
    with captured(supervision) as logged, pytest.raises(TaskEndedError):
        await run_tasks({"consumer": _fails_after(1)}, stop=asyncio.Event(), grace=GRACE)
    assert [event["event"] for event in logged] == ["task ended by itself"]


async def test_cancellation_from_outside_stops_the_tasks() -> None:
    task = Eternal(cleanup_takes=2)
    supervised = asyncio.create_task(
        run_tasks({"task": task.run()}, stop=asyncio.Event(), grace=GRACE)
    )
    await task.started.wait()
    supervised.cancel()
    with pytest.raises(asyncio.CancelledError):
        await supervised
    assert task.cleaned_up


async def test_no_tasks_wait_for_stop() -> None:
    stop = asyncio.Event()
    stop.set()
    await run_tasks({}, stop=stop, grace=GRACE)


@pytest.mark.looptime(False)  # noqa: FBT003 - the plugin's own form; signals come in real time
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signals_set_stop(number: Any) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    try:
        os.kill(os.getpid(), number)
        await stop.wait()
    finally:
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(each)


@pytest.mark.looptime
async def test_tasks_end_in_order_before_their_dependencies() -> None:
    stop, log = asyncio.Event(), []
    stop.set()

    async def consumer() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            drained = asyncio.Event()
            asyncio.get_running_loop().call_later(3, drained.set)
            await drained.wait()
            log.append("consumer")

    async def ledger() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            log.append("ledger")

    tasks = {"consumer": consumer(), "ledger": ledger()}
    await run_tasks(tasks, stop=stop, grace=timedelta(seconds=5))
    assert log == ["consumer", "ledger"]
