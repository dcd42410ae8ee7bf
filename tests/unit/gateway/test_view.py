"""The view's file."""

import asyncio
from datetime import timedelta
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from sluice_contracts.ids import RunKey
from sluice_contracts.status import Phase
from sluice_gateway.adapters.view import SqliteRunView
from sluice_gateway.adapters.view_store import AnnouncingStore, open_view, prune_view
from sluice_gateway.metrics import Metrics
from sluice_gateway.services.news import RunNews
from sluice_gateway.services.runs import AcceptedRun
from tests.unit.gateway.harness import NOW, TOPICS, caught_up, published, status_record

KEY = RunKey("default", "order-1")
ACCEPTED = AcceptedRun(
    key=KEY, workflow="greet", fingerprint="f", partition=0, offset=0, accepted_at=NOW
)


async def test_what_was_folded_is_there_after_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        async with open_view(tmp_path / "view.sqlite", topics=TOPICS) as sqlite:
            news = RunNews()
            view = SqliteRunView(sqlite, news=news, catch_up=caught_up)
            metrics = Metrics(CollectorRegistry())
            store = AnnouncingStore(sqlite, status_topic=TOPICS.status, news=news, metrics=metrics)
            if await store.offsets():
                state = await view.find(KEY)
                assert state is not None
                assert state.phase is Phase.RUNNING
                assert await store.offsets() == {(TOPICS.status, 1): 8}
                await store.forget()
                assert await view.find(KEY) is None
                assert await store.offsets() == {}
            else:
                await store.apply([status_record(published(3), offset=7)])


async def test_a_run_that_cannot_be_noted_is_accepted_all_the_same(tmp_path: Path) -> None:
    async with open_view(tmp_path / "view.sqlite", topics=TOPICS) as sqlite:
        view = SqliteRunView(sqlite, news=RunNews(), catch_up=caught_up)
        await sqlite.write([("DROP TABLE runs", ())])
        with structlog.testing.capture_logs() as logs:
            await view.accept(ACCEPTED)
        assert [log["event"] for log in logs] == ["run not noted at once"]


async def test_what_the_topic_has_forgotten_is_forgotten_a_day_later(tmp_path: Path) -> None:
    async with open_view(tmp_path / "view.sqlite", topics=TOPICS) as sqlite:
        view = SqliteRunView(sqlite, news=RunNews(), catch_up=caught_up)
        await view.accept(ACCEPTED)
        for retention, left in ((None, 1), (timedelta(days=36500), 1), (timedelta(0), 0)):
            pruning = asyncio.create_task(prune_view(sqlite, retention=retention))
            await asyncio.sleep(0)
            # Queued behind the pruning, on the connection's one thread.
            assert len(await sqlite.read("SELECT 1 FROM runs")) == left
            pruning.cancel()
            await asyncio.wait({pruning})
