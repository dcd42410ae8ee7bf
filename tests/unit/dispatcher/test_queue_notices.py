"""A request that waits says for what, on the status topic, without being delayed by that."""

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from sluice_dispatcher.domain.verdict import Verdict
from sluice_dispatcher.domain.wait_reason import WaitReason, wait_detail
from sluice_dispatcher.services.queue_notices import QueueNotices
from sluice_runtime.kubernetes.errors import ApiUnavailableError
from tests.support.dispatcher import NOW, Desk, hello
from tests.unit.dispatcher.test_overload import in_flight_records, until
from tests.unit.runtime.clock import pause

pytestmark = pytest.mark.looptime

SECRET = "a secret value"


class Scene:
    """A dispatcher whose creates fail in a way that the test sets; None: they do not."""

    def __init__(self) -> None:
        self.desk = Desk(first_reader=True)
        self.failure: ApiUnavailableError | None = ApiUnavailableError("403", status=403)
        self.desk.before_create(self._fail)
        self.records = in_flight_records(self.desk)
        self._began = asyncio.get_running_loop().time()

    @property
    def notices(self) -> Any:
        return self.desk.publisher.queued_for_test

    async def _fail(self, _: str) -> None:
        if self.failure is not None:
            raise self.failure

    def start(self, run_id: str) -> None:
        self.records.start(self.desk.record(hello(run_id, name=SECRET)))

    def now(self) -> Any:
        return NOW + timedelta(seconds=asyncio.get_running_loop().time() - self._began)

    @contextlib.contextmanager
    def publishing(self) -> Iterator[None]:
        notices = QueueNotices(
            queued=self.desk.queued,
            budget=self.desk.budget,
            publisher=self.desk.publisher,
            after=timedelta(seconds=5),
            now=self.now,
        )
        task = asyncio.create_task(notices.run())
        try:
            yield
            assert not task.done()
        finally:
            task.cancel()


async def test_a_run_that_waits_is_announced_after_a_while() -> None:
    scene = Scene()
    with scene.publishing():
        scene.start("order-1")
        await until(lambda: scene.desk.budget.waiting[WaitReason.FORBIDDEN] == 1)
        waiting = scene.now()
        await until(lambda: scene.notices)
        assert timedelta(seconds=5) <= scene.now() - waiting <= timedelta(seconds=7)
        await pause(3600)
    [notice] = scene.notices
    assert (notice.run_id, notice.held_by) == ("order-1", "forbidden")
    assert notice.request == "sluice.requests/0@0"
    assert notice.detail == wait_detail(WaitReason.FORBIDDEN)
    assert timedelta(0) <= notice.since - waiting <= timedelta(seconds=1)
    assert SECRET not in notice.model_dump_json()


async def test_a_run_that_starts_soon_is_not_announced() -> None:
    scene = Scene()
    with scene.publishing():
        scene.start("order-1")
        await until(lambda: scene.desk.budget.waiting[WaitReason.FORBIDDEN] == 1)
        scene.failure = None
        await until(lambda: scene.records.count == 0)
        await pause(60)
    assert scene.notices == []


async def test_a_run_that_waits_for_something_else_is_announced_again() -> None:
    scene = Scene()
    with scene.publishing():
        scene.start("order-1")
        await until(lambda: scene.notices)
        scene.failure = ApiUnavailableError("503", status=503)
        await until(lambda: len(scene.notices) == 2)
    assert [notice.held_by for notice in scene.notices] == ["forbidden", "kubernetes"]
    assert scene.notices[0].since < scene.notices[1].since
    assert scene.notices[0].event_id != scene.notices[1].event_id


async def test_reasons_that_alternate_are_announced_at_a_bounded_rate() -> None:
    scene = Scene()

    async def alternate() -> None:
        while True:
            for reason in (WaitReason.FORBIDDEN, WaitReason.KUBERNETES):
                for run in scene.desk.queued:
                    scene.desk.budget.mark_waiting(reason, run.task)
                await pause(6)

    with scene.publishing():
        scene.start("order-1")
        alternating = asyncio.create_task(alternate())
        await pause(600)
        alternating.cancel()
    assert 2 <= len(scene.notices) <= 600 / 30 + 1


async def test_a_second_request_of_the_run_is_not_announced() -> None:
    scene = Scene()
    with scene.publishing():
        scene.start("order-1")
        scene.start("order-1")
        await until(lambda: scene.notices)
        await pause(60)
    [notice] = scene.notices
    assert notice.request == "sluice.requests/0@0"


async def test_a_notice_that_kafka_does_not_take_is_tried_again_and_delays_nothing() -> None:
    scene = Scene()
    scene.desk.publisher.fail_for_test(times=5)
    with scene.publishing():
        scene.start("order-1")
        await until(lambda: scene.notices)
        stuck, send = asyncio.Event(), scene.desk.publisher.publish_queued

        async def hanging(*args: Any, **more: Any) -> None:
            await stuck.wait()
            await send(*args, **more)

        scene.desk.publisher.publish_queued = hanging  # type: ignore[method-assign]
        scene.start("order-2")
        await pause(60)
        scene.failure = None
        began = asyncio.get_running_loop().time()
        await until(lambda: scene.records.count == 0)
        # No longer than the longest pause between two attempts.
        assert asyncio.get_running_loop().time() - began <= 31
        assert await scene.desk.handler.handle(scene.desk.record(hello("new"))) is Verdict.CREATED


async def test_many_waiting_runs_are_announced_a_few_at_a_time() -> None:
    scene = Scene()
    with scene.publishing():
        for number in range(250):
            scene.start(f"order-{number}")
        await until(lambda: scene.notices)
        assert len(scene.notices) <= 100
        await until(lambda: len(scene.notices) == 250)


def test_every_reason_has_a_sentence() -> None:
    for reason in WaitReason:
        assert wait_detail(reason).endswith(".")
