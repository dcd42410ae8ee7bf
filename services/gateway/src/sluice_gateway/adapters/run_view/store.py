"""Fills the view, notifies subscribers, and forgets what the topics have forgotten."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sluice_contracts.record_origins import RecordOrigins
from sluice_contracts.records import IncomingRecord
from sluice_gateway.adapters.run_view.projection import view_projection
from sluice_gateway.adapters.written_requests import WrittenRequests
from sluice_gateway.domain.run_changes import KeepsParameters
from sluice_gateway.metrics import Metrics
from sluice_gateway.services.subscriptions import RunSubscriptions
from sluice_runtime.projection.last_records import LastRecord
from sluice_runtime.projection.sqlite_store import SqliteStore

__all__ = ["NotifyingStore", "open_view"]


HISTORY: Final = timedelta(days=30)


def open_view(
    path: Path,
    *,
    origins: RecordOrigins,
    keeps_parameters: KeepsParameters,
    history: timedelta = HISTORY,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    written: WrittenRequests | None = None,
) -> AbstractAsyncContextManager[SqliteStore]:
    """Open the view's file, or make it; `history` is how long finished runs are kept at least.

    Records of requests that are in `written` are not decoded.
    """
    return SqliteStore.open(
        path,
        view_projection(
            origins,
            keeps_parameters=keeps_parameters,
            history=history,
            now=now,
            known=(WrittenRequests() if written is None else written).of,
        ),
    )


class NotifyingStore:
    """A `ProjectionStore` that wakes those who follow a run once its events are committed."""

    def __init__(
        self,
        store: SqliteStore,
        *,
        status_topics: Collection[str],
        subscriptions: RunSubscriptions,
        metrics: Metrics,
        written: WrittenRequests | None = None,
    ) -> None:
        self._store = store
        self._status_topics = frozenset(status_topics)
        self._subscriptions = subscriptions
        self._metrics = metrics
        self._written = WrittenRequests() if written is None else written

    async def offsets(self) -> dict[tuple[str, int], int]:
        """See `ProjectionStore.offsets`."""
        return await self._store.offsets()

    async def last_records(self) -> dict[tuple[str, int], LastRecord]:
        """See `ProjectionStore.last_records`."""
        return await self._store.last_records()

    async def prepare(self, records: Sequence[IncomingRecord]) -> Callable[[], Awaitable[None]]:
        """See `ProjectionStore.prepare`."""
        write = await self._store.prepare(records)
        keys = [record.key for record in records if record.position.topic in self._status_topics]

        async def write_and_notify() -> None:
            await write()
            self._written.drop_projected(
                {
                    (each.position.topic, each.position.partition): each.position.offset + 1
                    for each in records
                }
            )
            self._metrics.events_projected.inc(len(keys))
            self._subscriptions.publish({key.decode(errors="replace") for key in keys if key})

        return write_and_notify

    async def expire(self, starts: Mapping[tuple[str, int], int]) -> None:
        """See `ProjectionStore.expire`."""
        await self._store.expire(starts)

    async def forget(self) -> None:
        """See `ProjectionStore.forget`."""
        self._written.clear()
        await self._store.forget()
