"""A record on its way belongs to all who asked for it, and to none of them alone."""

import asyncio
from datetime import timedelta

import pytest

from sluice_contracts.ids import RunKey
from sluice_contracts.problems import ProblemType
from sluice_contracts.requests import RunRequest
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.models import RunState
from sluice_gateway.services.flights import Flights
from sluice_gateway.services.identification import ANYBODY
from sluice_gateway.services.request_quotas import RequestQuotas
from sluice_gateway.services.submission import Asked, Started, Submission
from tests.support.fake_producer import FakeProducer
from tests.support.fake_view import EmptyView
from tests.unit.gateway.harness import (
    CATALOGUE,
    GREET,
    NOW,
    TOPICS,
    TRACEPARENT,
    request_producer_of,
)

pytestmark = pytest.mark.looptime


class HungView(EmptyView):
    """A view on a volume that does not answer, and gives no error either."""

    async def find(self, key: RunKey) -> RunState | None:
        await asyncio.Event().wait()
        raise AssertionError


def submission_to(producer: FakeProducer) -> Submission:
    log = request_producer_of(producer, timeout=timedelta(hours=1))
    return Submission(
        catalogue=CATALOGUE, producer=log, view=EmptyView(), quotas=RequestQuotas(), now=lambda: NOW
    )


def asked(name: str = "Ada") -> Asked:
    document = GREET | {"parameters": {"name": name}}
    request = RunRequest.model_validate(document)
    return Asked(
        request=request,
        content=request.content(),
        idempotency_key="order-1",
        traceparent=TRACEPARENT,
        identity=ANYBODY,
    )


async def test_a_volume_that_hangs_keeps_nobody_from_starting_runs() -> None:
    producer = FakeProducer()
    log = request_producer_of(producer, timeout=timedelta(hours=1))
    submission = Submission(
        catalogue=CATALOGUE, producer=log, view=HungView(), quotas=RequestQuotas(), now=lambda: NOW
    )
    async with asyncio.timeout(60):
        await submission.submit(asked())
    assert len(producer.records_for_test(TOPICS.requests)) == 1


async def test_one_that_leaves_does_not_stop_the_record_of_the_others() -> None:
    producer = FakeProducer()
    submission = submission_to(producer)
    async with producer.hold_for_test():
        first = asyncio.create_task(submission.submit(asked()))
        await producer.waiting_for_test(1)
        second = asyncio.create_task(submission.submit(asked()))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait({first})
    assert isinstance(await second, Started)
    assert len(producer.records_for_test(TOPICS.requests)) == 1


async def test_other_content_does_not_join() -> None:
    producer = FakeProducer()
    submission = submission_to(producer)
    async with producer.hold_for_test():
        first = asyncio.create_task(submission.submit(asked()))
        await producer.waiting_for_test(1)
        with pytest.raises(ProblemError) as caught:
            async with asyncio.timeout(60):
                await submission.submit(asked("Bob"))
    assert caught.value.problem.type == ProblemType.IDEMPOTENCY_KEY_REUSED
    assert isinstance(await first, Started)


class SlowView(EmptyView):
    """A view whose answers come late: it looked before the record landed."""

    def __init__(self) -> None:
        self.answers: list[asyncio.Event] = []
        self.both_look = asyncio.Event()

    async def find(self, key: RunKey) -> RunState | None:
        self.answers.append(answer := asyncio.Event())
        if len(self.answers) == 2:
            self.both_look.set()
        await answer.wait()
        return None


async def test_one_that_looked_before_the_record_landed_joins_it() -> None:
    producer, view = FakeProducer(), SlowView()
    log = request_producer_of(producer, timeout=timedelta(hours=1))
    submission = Submission(
        catalogue=CATALOGUE, producer=log, view=view, quotas=RequestQuotas(), now=lambda: NOW
    )
    first = asyncio.create_task(submission.submit(asked()))
    late = asyncio.create_task(submission.submit(asked()))
    await view.both_look.wait()
    view.answers[0].set()
    started = await first
    view.answers[1].set()
    assert await late == started
    assert len(producer.records_for_test(TOPICS.requests)) == 1


async def test_a_flight_that_failed_is_not_joined() -> None:
    flights: Flights[str] = Flights()
    key = RunKey("default", "order-1")

    async def fail() -> str:
        raise OSError

    async def land() -> str:
        return "landed"

    with flights.joining(key):
        failed = flights.start(key, fingerprint="f", work=fail())
        await asyncio.wait({failed.landed})
        assert flights.get(key) is None
        landed = flights.start(key, fingerprint="f", work=land())
        await asyncio.wait({landed.landed})
        assert flights.get(key) is landed
        await flights.drain()
    assert flights.get(key) is None
