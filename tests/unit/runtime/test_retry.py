"""A step is repeated until it works, and only after errors that repetition may cure."""

import asyncio
import sys
from datetime import timedelta

import pytest

from sluice_runtime.backoff import Backoff
from sluice_runtime.retry import retry_forever
from tests.unit.runtime.clock import now

BACKOFF = Backoff(
    first=timedelta(seconds=1), longest=timedelta(seconds=4), uniform=lambda _, high: high
)


class AwayError(Exception):
    """The dependency does not answer."""


class BusyError(AwayError):
    """The dependency asks for a pause."""

    retry_after = 30.0


class Step:
    """Fails with these errors, one after another, and then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.called_at: list[float] = []

    async def __call__(self) -> str:
        self.called_at.append(now())
        if self._errors:
            raise self._errors.pop(0)
        return "done"


def ignore(_: Exception, __: float) -> None:
    """Note nothing."""


@pytest.mark.looptime
async def test_a_step_is_repeated_with_growing_pauses_until_it_works() -> None:
    step = Step(*(AwayError() for _ in range(4)))
    assert await retry_forever(step, on=AwayError, backoff=BACKOFF, on_retry=ignore) == "done"
    assert step.called_at == [0, 1, 3, 7, 11]


@pytest.mark.looptime
async def test_a_pause_is_at_least_what_the_error_asks_for() -> None:
    step = Step(BusyError(), AwayError())
    await retry_forever(step, on=AwayError, backoff=BACKOFF, on_retry=ignore)
    assert step.called_at == [0, 30, 32]


@pytest.mark.looptime
async def test_each_pause_is_reported_with_its_error_before_it_begins() -> None:
    first, second = AwayError("first"), OSError("second")
    reports: list[tuple[float, Exception, float]] = []

    def report(error: Exception, pause: float) -> None:
        # A traceback can still be logged.
        assert sys.exc_info()[1] is error
        reports.append((now(), error, pause))

    on = (AwayError, OSError)
    await retry_forever(Step(first, second), on=on, backoff=BACKOFF, on_retry=report)
    assert reports == [(0, first, 1), (1, second, 2)]


@pytest.mark.looptime
async def test_other_errors_pass_through_at_once() -> None:
    step = Step(AwayError(), ValueError("a defect"))
    with pytest.raises(ValueError, match="a defect"):
        await retry_forever(step, on=AwayError, backoff=BACKOFF, on_retry=ignore)
    assert step.called_at == [0, 1]


@pytest.mark.looptime
async def test_cancellation_ends_the_retries_during_a_pause() -> None:
    step = Step(*(AwayError() for _ in range(9)))
    task = asyncio.create_task(retry_forever(step, on=AwayError, backoff=BACKOFF, on_retry=ignore))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await task
    assert task.cancelled()
    assert step.called_at == [0, 1]
