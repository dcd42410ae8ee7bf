"""The view in SQLite, with all that works on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from sluice_gateway.adapters.read_barrier import ReadBarrier
from sluice_gateway.adapters.run_view.reader import SqliteRunView
from sluice_gateway.adapters.run_view.reopening import OpenView
from sluice_gateway.adapters.run_view.size_limit import BoundedStore, ViewSizeLimit
from sluice_gateway.adapters.run_view.store import NotifyingStore, open_view
from sluice_gateway.adapters.written_requests import WrittenRequests
from sluice_gateway.domain.run_changes import KeepsParameters
from sluice_gateway.metrics import Metrics
from sluice_gateway.services.subscriptions import RunSubscriptions
from sluice_gateway.settings import GatewaySettings
from sluice_runtime.kafka.consumer import make_consumer
from sluice_runtime.projection.projector import Projector

__all__ = ["opened_sqlite_view"]

_NAME: Final = "sluice-gateway"
# A request for an unknown run waits for so long, and then for as long again.
_FETCH_MAX_WAIT: Final = timedelta(milliseconds=250)


@asynccontextmanager
async def opened_sqlite_view(
    settings: GatewaySettings,
    *,
    subscriptions: RunSubscriptions,
    metrics: Metrics,
    keeps_parameters: KeepsParameters,
    most_waiting: int,
) -> AsyncIterator[OpenView]:
    """Open the view's file, with all that works on it."""
    kafka, origins = settings.kafka, settings.kafka.origins
    topics = origins.topics
    path = settings.data_dir / "view.sqlite"
    written = WrittenRequests()
    async with open_view(
        path,
        origins=origins,
        keeps_parameters=keeps_parameters,
        history=settings.store.history,
        written=written,
    ) as store:
        bounds = ViewSizeLimit(store, path, max_bytes=settings.view.max_bytes, metrics=metrics)
        notifying = NotifyingStore(
            store,
            status_topics=topics.status,
            subscriptions=subscriptions,
            metrics=metrics,
            written=written,
        )
        projection = Projector(
            name="view",
            topics=(*topics.requests, *topics.status),
            store=BoundedStore(notifying, bounds=bounds),
            make_consumer=lambda: make_consumer(
                kafka, client_id=f"{_NAME}-view", fetch_max_wait=_FETCH_MAX_WAIT
            ),
        )
        read_barrier = ReadBarrier(projection, patience=settings.view.patience, most=most_waiting)
        yield OpenView(
            view=SqliteRunView(
                store,
                topics=topics,
                subscriptions=subscriptions,
                catch_up=read_barrier.catch_up,
                keeps_parameters=keeps_parameters,
                written=written,
            ),
            projection=projection,
            tasks=(projection.run, store.watch_for_damage),
        )
