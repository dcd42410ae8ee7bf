"""What the status-watcher expects of a `ResultsReader`, on Kafka or in memory.

Needs fixtures: `results`, a reader of an empty results topic, and `append`, which writes terminal
events to that topic.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from sluice_argo.outcomes import Outcome
from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.status import Phase, StatusEvent
from sluice_status_watcher.domain.published_outcome import AppendedOutcome
from sluice_status_watcher.ports import ResultsReader

Append: TypeAlias = Callable[..., Awaitable[None]]

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
ENDED = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
# Later than any record, by the real clock and by the fake's.
FAR_FUTURE = datetime(2100, 1, 1, tzinfo=UTC)


def outcome(run_id: str, *, uid: str, attempt: int = 1, phase: Phase = Phase.FAILED) -> StatusEvent:
    """Return a terminal event."""
    return StatusEvent(
        event_id=f"{uid}-{attempt}",
        run_id=run_id,
        tenant="default",
        workflow="hello",
        workflow_name=workflow_name(RunKey("default", run_id)),
        uid=uid,
        attempt=attempt,
        phase=phase,
        terminal=True,
        finished_at=ENDED,
        observed_at=ENDED + timedelta(minutes=1),
        sequence=1,
    )


async def until_the_end(
    outcomes: AsyncGenerator[AppendedOutcome | None, None],
) -> AsyncIterator[AppendedOutcome]:
    """Yield what the topic holds now."""
    while (appended := await anext(outcomes)) is not None:
        yield appended


class ResultsReaderPortSuite:
    async def test_find_reads_every_partition(self, results: ResultsReader, append: Append) -> None:
        await append(*(outcome(f"order-{n}", uid=f"uid-{n}") for n in range(200)))
        wanted = {f"uid-{n}": f"default/order-{n}".encode() for n in range(0, 300, 3)}
        found = await results.find(wanted, since=LONG_AGO)
        assert set(found) == {f"uid-{n}" for n in range(0, 200, 3)}
        assert found["uid-3"].outcome == Outcome(attempt=1, phase=Phase.FAILED, finished_at=ENDED)
        assert found["uid-3"].record.key == b"default/order-3"

    async def test_find_returns_the_last_attempt_of_the_uid(
        self, results: ResultsReader, append: Append
    ) -> None:
        await append(
            outcome("order-1", uid="old"),
            outcome("order-1", uid="new", attempt=2, phase=Phase.SUCCEEDED),
            outcome("order-1", uid="new", attempt=1),
        )
        found = await results.find({"new": b"default/order-1"}, since=LONG_AGO)
        assert {uid: each.outcome.attempt for uid, each in found.items()} == {"new": 2}

    async def test_find_ignores_records_of_another_key(
        self, results: ResultsReader, append: Append
    ) -> None:
        await append(outcome("order-1", uid="uid-1"))
        assert await results.find({"uid-1": b"default/order-2"}, since=LONG_AGO) == {}

    async def test_find_ignores_records_before_the_start_time(
        self, results: ResultsReader, append: Append
    ) -> None:
        await append(outcome("order-1", uid="uid-1"))
        wanted = {"uid-1": b"default/order-1"}
        assert await results.find(wanted, since=FAR_FUTURE) == {}
        assert set(await results.find(wanted, since=LONG_AGO)) == {"uid-1"}

    async def test_find_returns_nothing_from_an_empty_topic(self, results: ResultsReader) -> None:
        assert await results.find({"uid-1": b"k"}, since=LONG_AGO) == {}

    async def test_tail_yields_old_and_new_outcomes(
        self, results: ResultsReader, append: Append
    ) -> None:
        await append(*(outcome(f"order-{n}", uid=f"uid-{n}") for n in range(50)))
        async with aclosing(results.tail(since=LONG_AGO)) as outcomes:
            before = [appended async for appended in until_the_end(outcomes)]
            assert sorted(each.uid for each in before) == sorted(f"uid-{n}" for n in range(50))
            await append(outcome("order-7", uid="uid-7", attempt=2))
            new = await anext(each async for each in outcomes if each is not None)
            assert (new.uid, new.record_key, new.attempt) == ("uid-7", b"default/order-7", 2)
            assert new.appended_at >= max(each.appended_at for each in before)

    async def test_tail_ignores_records_before_the_start_time(
        self, results: ResultsReader, append: Append
    ) -> None:
        await append(outcome("order-1", uid="uid-1"))
        async with aclosing(results.tail(since=FAR_FUTURE)) as outcomes:
            assert [appended async for appended in until_the_end(outcomes)] == []
