"""Following a run, on a virtual clock and an imaginary view."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from sluice_contracts.ids import RunKey
from sluice_contracts.status import Phase
from sluice_gateway.adapters.run_view.store import NotifyingStore
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.models import (
    EventHead,
    EventPage,
    EventPlace,
    RunEvent,
)
from sluice_gateway.metrics import Metrics
from sluice_gateway.services.event_stream import follow
from sluice_gateway.services.subscriptions import RunSubscriptions, Subscription
from tests.support.fake_view import EmptyView
from tests.support.projections import apply
from tests.unit.gateway.harness import (
    TOPICS,
    opened_store,
    published,
    status_record,
    view_of,
)

KEY = RunKey("default", "order-1")


@dataclass
class ImaginaryView(EmptyView):
    """A `RunView` of one run, in memory."""

    subscriptions: RunSubscriptions = field(default_factory=RunSubscriptions)
    published: list[RunEvent] = field(default_factory=list)
    over: bool = False
    known: bool = True
    reads: int = 0

    async def events(
        self,
        key: RunKey,
        *,
        beyond: int,
        after: EventPlace | None,
        limit: int,
    ) -> EventPage | None:
        assert key == KEY
        self.reads += 1
        if not self.known:
            return None
        left = [event for event in self.published if event.sequence > beyond]
        return EventPage(events=tuple(left[:limit]), ended=self.over and len(left) <= limit)

    def subscribe(self, key: RunKey) -> AbstractContextManager[Subscription]:
        return self.subscriptions.subscribe(str(key))

    def publish_for_test(self, sequence: int, *, last: bool = False) -> None:
        self.published.append(
            RunEvent(place=EventPlace(0, sequence), sequence=sequence, type="t", data="{}")
        )
        self.over = last
        self.subscriptions.publish([str(KEY)])


Pages = AsyncGenerator[tuple[EventHead, ...]]


def following(view: ImaginaryView) -> Pages:
    return follow(view, KEY, after=None, heartbeat=15.0)


@pytest.mark.looptime
async def test_silence_has_a_heartbeat() -> None:
    view = ImaginaryView()
    clock = asyncio.get_running_loop()
    began = clock.time()
    async with aclosing(following(view)) as pages:
        assert await anext(pages) == ()
        assert clock.time() == began
        assert await anext(pages) == ()
        assert clock.time() == began + 15
        assert await anext(pages) == ()
        assert clock.time() == began + 30
        assert view.reads == 1


@pytest.mark.looptime
async def test_news_come_at_once_and_silence_counts_from_there() -> None:
    view = ImaginaryView()
    clock = asyncio.get_running_loop()
    began = clock.time()
    clock.call_later(20, view.publish_for_test, 1)
    async with aclosing(following(view)) as pages:
        assert await anext(pages) == ()
        assert await anext(pages) == ()
        assert [event.sequence for event in await anext(pages)] == [1]
        assert clock.time() == began + 20
        assert await anext(pages) == ()
        assert clock.time() == began + 35


@pytest.mark.looptime
async def test_news_of_other_runs_wake_nobody() -> None:
    view = ImaginaryView()
    async with aclosing(following(view)) as pages:
        assert await anext(pages) == ()
        view.subscriptions.publish(["default/order-2"])
        assert await anext(pages) == ()
        assert view.reads == 1


@pytest.mark.looptime
async def test_news_between_reading_and_waiting_are_not_lost() -> None:
    view = ImaginaryView()
    async with aclosing(following(view)) as pages:
        assert await anext(pages) == ()
        view.publish_for_test(1)
        view.publish_for_test(2, last=True)
        assert [event.sequence for event in await anext(pages)] == [1, 2]
        assert await anext(pages, None) is None
    assert view.subscriptions.followed == 0


@pytest.mark.looptime
async def test_a_run_forgotten_meanwhile_ends_the_stream() -> None:
    view = ImaginaryView()
    async with aclosing(following(view)) as pages:
        assert await anext(pages) == ()
        view.known = False
        view.subscriptions.publish([str(KEY)])
        assert await anext(pages, None) is None


async def test_an_unknown_run_is_refused() -> None:
    view = ImaginaryView(known=False)
    async with aclosing(following(view)) as pages:
        with pytest.raises(ProblemError):
            await anext(pages)
    assert view.subscriptions.followed == 0


@pytest.mark.looptime
async def test_stopping_ends_every_stream() -> None:
    view = ImaginaryView()
    async with aclosing(following(view)) as pages:
        assert await anext(pages) == ()
        view.subscriptions.close()
        assert await anext(pages, None) is None


async def test_subscribers_of_one_run_come_and_go() -> None:
    subscriptions = RunSubscriptions()
    with subscriptions.subscribe("a") as first:
        with subscriptions.subscribe("a") as second, subscriptions.subscribe("b"):
            assert subscriptions.followed == 2
            subscriptions.publish(["a"])
            assert await first.wait(within=60)
            assert await second.wait(within=60)
        first.looked()
        subscriptions.publish(["a"])
        assert await first.wait(within=60)
    assert subscriptions.followed == 0


history = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from([Phase.RUNNING, Phase.FAILED])), max_size=25
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=history, unread=st.integers(0, 25))
async def test_a_stream_resumed_anywhere_has_exactly_the_rest(
    tmp_path: Path, history: list[tuple[int, Phase]], unread: int
) -> None:
    records = [
        status_record(published(sequence, phase), offset=offset)
        for offset, (sequence, phase) in enumerate([*history, (31, Phase.SUCCEEDED)])
    ]
    (tmp_path / "view.sqlite").unlink(missing_ok=True)
    async with opened_store(tmp_path / "view.sqlite") as sqlite:
        subscriptions = RunSubscriptions()
        metrics = Metrics(CollectorRegistry())
        store = NotifyingStore(
            sqlite, status_topics=[TOPICS.status], subscriptions=subscriptions, metrics=metrics
        )
        is_read = asyncio.Event()

        async def catch_up() -> str | None:
            await is_read.wait()
            return None

        view = view_of(sqlite, subscriptions=subscriptions, catch_up=catch_up)
        await apply(store, records)
        whole = await read(follow(view, KEY, after=None, heartbeat=60))
        assert [event.sequence for event in whole] == sorted({event.sequence for event in whole})
        for seen, event in enumerate(whole):
            rest = await read(follow(view, KEY, after=event.place, heartbeat=60))
            assert rest == whole[seen + 1 :]
        # On a replica that is behind the client, the rest follows once it comes.
        behind = max(1, len(records) - unread)
        await store.forget()
        await apply(store, records[:behind])
        last_seen = whole[len(whole) // 2].place
        pages = follow(view, KEY, after=last_seen, heartbeat=60)
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(read(pages))
            await apply(store, records[behind:])
            is_read.set()
        found = reading.result()
        # The run may have been over at that moment, and was retried: its reader resumes.
        place = found[-1].place if found else last_seen
        found += await read(follow(view, KEY, after=place, heartbeat=60))
        assert found == whole[len(whole) // 2 + 1 :]


@pytest.mark.parametrize("missing", [None, "it is too far behind"])
async def test_a_retried_run_is_not_over_for_a_client_that_has_seen_more(
    tmp_path: Path, missing: str | None
) -> None:
    """The client has seen the second attempt on another replica; here the first one has failed."""
    first = [(3, Phase.FAILED, 0), (10, Phase.RUNNING, 1), (31, Phase.SUCCEEDED, 2)]
    records = [status_record(published(n, phase), offset=offset) for n, phase, offset in first]
    async with opened_store(tmp_path / "view.sqlite") as store:

        async def catch_up() -> str | None:
            if missing is None:
                await apply(store, records[1:])
            return missing

        view = view_of(store, catch_up=catch_up)
        await apply(store, records[:1])
        pages = follow(view, KEY, after=EventPlace(1, 1), heartbeat=60)
        if missing is None:
            assert [event.sequence for event in await read(pages)] == [31]
        else:
            with pytest.raises(ProblemError, match=missing):
                await read(pages)


async def test_a_place_that_no_log_has_does_not_keep_a_stream_open(tmp_path: Path) -> None:
    async with opened_store(tmp_path / "view.sqlite") as store:
        await apply(store, [status_record(published(3, Phase.SUCCEEDED), offset=0)])
        pages = follow(view_of(store), KEY, after=EventPlace(1, 1_000_000), heartbeat=60)
        assert await read(pages) == []


async def read(pages: AsyncIterator[tuple[EventHead, ...]]) -> list[EventHead]:
    return [event async for page in pages for event in page]
