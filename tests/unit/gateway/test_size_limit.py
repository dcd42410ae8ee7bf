"""The view's file does not grow past its bounds, and what was dropped is not made up."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry

from sluice_contracts.ids import RunKey
from sluice_contracts.records import IncomingRecord
from sluice_contracts.status import Phase
from sluice_gateway.adapters.run_view.reader import SqliteRunView
from sluice_gateway.adapters.run_view.size_limit import BoundedStore, ViewSizeLimit
from sluice_gateway.adapters.run_view.store import NotifyingStore
from sluice_gateway.domain.models import EventHead, EventPlace
from sluice_gateway.metrics import Metrics
from sluice_gateway.services.event_stream import follow
from sluice_gateway.services.subscriptions import RunSubscriptions
from sluice_runtime.projection.sqlite_store import SqliteStore
from tests.support.projections import apply
from tests.unit.gateway.harness import (
    TOPICS,
    opened_store,
    published,
    status_record,
    step,
    view_of,
)

KIB = 1024
LIMIT = 1000 * KIB
# Of one run; some four of its events.
EVENTS = 4
MESSAGE = "x" * KIB


@dataclass(kw_only=True)
class Bounded:
    """A view with bounds."""

    path: Path
    sqlite: SqliteStore
    store: BoundedStore
    view: SqliteRunView
    registry: CollectorRegistry

    def metric(self, name: str) -> float:
        return self.registry.get_sample_value(name) or 0.0

    def file_bytes(self) -> int:
        return sum(each.stat().st_size for each in self.path.parent.glob("view.sqlite*[!m]"))

    async def count(self, table: str) -> int:
        [(rows,)] = await self.sqlite.read(f"SELECT COUNT(*) FROM {table}")  # noqa: S608
        return int(rows)

    async def kept(self, number: int) -> int | None:
        """Give how many events are kept of a run, None if it is unknown."""
        key = RunKey("default", f"run-{number:05}")
        if await self.view.find(key) is None:
            return None
        [(rows,)] = await self.sqlite.read(
            "SELECT COUNT(*) FROM events JOIN runs USING (number) WHERE (tenant, run_id) = (?, ?)",
            key,
        )
        return int(rows)


@asynccontextmanager
async def bounded(folder: Path, *, limit: int = LIMIT) -> AsyncIterator[Bounded]:
    path, registry, subscriptions = folder / "view.sqlite", CollectorRegistry(), RunSubscriptions()
    metrics = Metrics(registry)
    async with opened_store(path) as sqlite:
        notifying = NotifyingStore(
            sqlite, status_topics=[TOPICS.status], subscriptions=subscriptions, metrics=metrics
        )
        yield Bounded(
            path=path,
            sqlite=sqlite,
            store=BoundedStore(
                notifying,
                bounds=ViewSizeLimit(sqlite, path, max_bytes=limit, metrics=metrics),
            ),
            view=view_of(sqlite, subscriptions=subscriptions),
            registry=registry,
        )


def run(number: int, *, last: Phase = Phase.SUCCEEDED) -> Iterable[IncomingRecord]:
    """Give the records of a run; those of a later one are younger."""
    phases = [Phase.RUNNING] * (EVENTS - 1) + [last]
    for index, phase in enumerate(phases):
        event = published(
            index + 1, phase, run_id=f"run-{number:05}", message=MESSAGE, steps=(step("a"),)
        )
        yield status_record(event, offset=number * EVENTS + index)


def runs(numbers: Iterable[int], *, last: Phase = Phase.SUCCEEDED) -> list[IncomingRecord]:
    return [record for number in numbers for record in run(number, last=last)]


def end_of(number: int) -> IncomingRecord:
    """Give one more record, with which the run is over."""
    event = published(EVENTS + 1, Phase.SUCCEEDED, run_id=f"run-{number:05}")
    return status_record(event, offset=9000 + number)


async def project(view: Bounded, records: list[IncomingRecord], *, at_a_time: int = 200) -> int:
    """Project the records in batches; give the most bytes that the file had in between."""
    most = 0
    for first in range(0, len(records), at_a_time):
        await apply(view.store, records[first : first + at_a_time])
        most = max(most, view.file_bytes())
    return most


async def test_the_file_does_not_grow_past_its_bounds(tmp_path: Path) -> None:
    async with bounded(tmp_path) as view:
        # Some 4 MB of events, to a limit of 1.
        most = await project(view, runs(range(700)))
        # What one batch brings comes on top, with the log that carries it.
        assert most < 1.5 * LIMIT
        assert view.metric("sluice_gateway_view_bytes") <= LIMIT
        assert view.metric("sluice_gateway_view_limit_bytes") == LIMIT
        dropped = view.metric("sluice_gateway_view_dropped_runs_total")
        assert dropped == 700 - await view.count("runs") > 0
        assert await view.count("runs") == await view.count("steps")


async def test_the_youngest_keep_their_events_and_the_oldest_go_first(tmp_path: Path) -> None:
    async with bounded(tmp_path) as view:
        await project(view, runs(range(700)))
        kept = [await view.kept(number) for number in range(700)]
        gone, states = kept.count(None), kept.count(1)
        assert kept == [None] * gone + [1] * states + [EVENTS] * (700 - gone - states)
        # The younger half of what is left is whole, but for what the last drop took at once.
        assert -1 <= kept.count(EVENTS) - states <= (700 - gone) // 10
        assert view.metric("sluice_gateway_view_trimmed_runs_total") == gone + states


async def test_runs_that_go_on_are_never_dropped_and_it_is_said(tmp_path: Path) -> None:
    async with bounded(tmp_path) as view:
        with structlog.testing.capture_logs() as logs:
            await project(view, runs(range(250), last=Phase.RUNNING))
            # Younger, and over: these go, and all of them.
            await project(view, runs(range(1000, 1100)))
        [said] = [log for log in logs if log["event"].startswith("the view is larger")]
        assert said["max_bytes"] == LIMIT
        assert view.metric("sluice_gateway_view_bytes") > LIMIT
        assert {await view.kept(number) for number in range(1000, 1100)} == {None}
        assert {await view.kept(number) for number in range(250)} == {EVENTS}
        # What has ended since makes room again.
        await project(view, [end_of(number) for number in range(250)])
        assert view.metric("sluice_gateway_view_bytes") <= LIMIT


async def test_a_restart_brings_nothing_back(tmp_path: Path) -> None:
    async with bounded(tmp_path) as view:
        await project(view, runs(range(500)))
        offsets, runs_left = await view.store.offsets(), await view.count("runs")
    async with bounded(tmp_path) as view:
        assert await view.store.offsets() == offsets
        assert await view.count("runs") == runs_left
    # A view that is lost and made again from all that the topics hold stays within bounds, too.
    (tmp_path / "view.sqlite").unlink()
    async with bounded(tmp_path) as view:
        assert await project(view, runs(range(500))) < 1.5 * LIMIT
        assert await view.count("runs") == runs_left


async def test_a_lower_limit_holds_from_the_start(tmp_path: Path) -> None:
    async with bounded(tmp_path) as view:
        await project(view, runs(range(120)))
        assert view.metric("sluice_gateway_view_dropped_runs_total") == 0
    async with bounded(tmp_path, limit=LIMIT // 4) as view:
        await view.store.offsets()
        assert 0 < view.metric("sluice_gateway_view_bytes") <= LIMIT // 4


async def test_a_view_below_the_limit_is_left_alone(tmp_path: Path) -> None:
    async with bounded(tmp_path) as view:
        await project(view, runs(range(60)))
        assert await view.count("events") == 60 * EVENTS
        assert view.metric("sluice_gateway_view_trimmed_runs_total") == 0
        assert 0 < view.metric("sluice_gateway_view_bytes") < LIMIT


class TestStreamsOfTrimmedRuns:
    """The first half of a run's events was dropped; the last one has all its steps."""

    @pytest.fixture
    async def view(self, tmp_path: Path) -> AsyncIterator[Bounded]:
        async with bounded(tmp_path) as view:
            await project(view, runs(range(145)))
            assert await view.kept(0) == 1
            yield view

    async def followed(self, view: Bounded, *, after: EventPlace | None) -> list[EventHead]:
        key = RunKey("default", "run-00000")
        pages = follow(view.view, key, after=after, heartbeat=60)
        return [event async for page in pages for event in page]

    async def test_a_stream_from_the_beginning_has_the_last_event_and_a_gap(
        self, view: Bounded
    ) -> None:
        [last] = await self.followed(view, after=None)
        assert (last.sequence, last.after_gap) == (EVENTS, True)

    @pytest.mark.parametrize("seen", range(EVENTS))
    async def test_a_resumed_stream_has_the_missing_events(self, view: Bounded, seen: int) -> None:
        events = await self.followed(view, after=EventPlace(1, seen))
        assert [event.sequence for event in events] == ([EVENTS] if seen < EVENTS - 1 else [])

    async def test_the_state_is_still_whole(self, view: Bounded) -> None:
        state = await view.view.find(RunKey("default", "run-00000"))
        assert state is not None
        assert state.event is not None
        assert (state.phase, state.event["sequence"]) == (Phase.SUCCEEDED, EVENTS)
        assert state.event["steps"] == [step("a").model_dump(mode="json")]

    async def test_a_younger_run_lacks_nothing(self, view: Bounded) -> None:
        key = RunKey("default", "run-00144")
        page = await view.view.events(key, beyond=-1, after=None, limit=10)
        assert page is not None
        assert [event.after_gap for event in page.events] == [False] * EVENTS
