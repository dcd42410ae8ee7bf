"""A view whose file may fail: it is opened again, and until then requests get the reason."""

import asyncio
import sqlite3
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Mapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Protocol, TypeVar

import structlog

from sluice_contracts.ids import RunKey
from sluice_contracts.status import Phase
from sluice_gateway.domain.models import (
    AcceptedRun,
    EventPage,
    EventPlace,
    RunEvent,
    RunState,
    StreamPage,
)
from sluice_gateway.domain.run_query import KindCount, RunFilter, RunPage, RunPlace, StreamPlace
from sluice_gateway.ports import RunView, Subscription, ViewUnavailableError
from sluice_gateway.services.subscriptions import RunSubscriptions
from sluice_runtime.backoff import Backoff
from sluice_runtime.durations import seconds
from sluice_runtime.projection.sqlite_file import StoreDamagedError, StoreUnusableError

__all__ = ["FILE", "KeptIn", "OpenView", "ReopeningView"]

_log = structlog.get_logger(__name__)


T = TypeVar("T")


class Projection(Protocol):
    """The state of a projection, as `sluice_runtime.projection.projector.Projector`."""

    def staleness(self) -> float | None:
        """Return the seconds since the view was known to hold all that the topics held."""

    def waiting_for(self) -> str | None:
        """Return why the topics were never read to their end; None if they were."""


@dataclass(frozen=True, kw_only=True)
class OpenView:
    """A view while its file can be used, and what has to run for it, side by side."""

    view: RunView
    projection: Projection
    tasks: Sequence[Callable[[], Coroutine[Any, Any, None]]]


@dataclass(frozen=True, kw_only=True)
class KeptIn:
    """What a view is kept in: the errors with which it fails, and what to say then.

    `shown` returns as much of an error as clients may see.
    """

    errors: tuple[type[Exception], ...]
    unusable: str
    unreadable: str
    shown: Callable[[BaseException], str] = str


FILE: Final = KeptIn(
    errors=(sqlite3.Error, StoreDamagedError, StoreUnusableError, OSError),
    unusable="the view's file cannot be used",
    unreadable="the view's file cannot be read",
)


class ReopeningView:
    """A `RunView` that outlives its file.

    `start_patience` is how long a start waits for the topics to be read; `failed` is called
    whenever what the view is `kept_in` could not be used.
    """

    def __init__(
        self,
        open_view: Callable[[], AbstractAsyncContextManager[OpenView]],
        *,
        subscriptions: RunSubscriptions,
        start_patience: timedelta,
        failed: Callable[[], None],
        backoff: Backoff | None = None,
        kept_in: KeptIn = FILE,
    ) -> None:
        self._open_view = open_view
        self._subscriptions = subscriptions
        self._start_patience = seconds(start_patience)
        self._failed = failed
        self._backoff = backoff or Backoff()
        self._kept_in = kept_in
        self._open: OpenView | None = None
        self._why = "the view is not open yet"
        self._has_failed = False
        self._began: float | None = None
        self._complete_as_of: float | None = None

    async def run(self) -> None:
        """Keep the view open permanently; failures of its file are retried."""
        self._began = asyncio.get_running_loop().time()
        failures = 0
        while True:
            complete_before = self._complete_as_of
            try:
                await self._session()
            except* self._kept_in.errors as group:
                error = _first(group)
            else:
                raise AssertionError("The view's tasks are eternal.")
            # After progress in between, pauses are short again.
            failures = 1 if self._complete_as_of != complete_before else failures + 1
            pause = self._backoff.delay(failures)
            self._why = f"{self._kept_in.unusable} ({self._kept_in.shown(error)})"
            self._has_failed = True
            self._failed()
            # Further lines of PostgreSQL's errors may have the contents of rows.
            text = str(error).partition("\n")[0]
            _log.error("view failed", error=text, retry_in=round(pause, 1))
            await asyncio.sleep(pause)

    def waiting_for(self) -> str | None:
        """Return what a start waits for: the topics to be read, for a while.

        Requests are taken without a view all the same, so one that is broken or takes too long is
        no reason to take none. `degraded` reports it.
        """
        self._note_progress()
        if self._has_failed or self._complete_as_of is not None:
            return None
        if self._began is not None:
            waited = asyncio.get_running_loop().time() - self._began
            if waited >= self._start_patience:
                return None
        return self.degraded()

    def degraded(self) -> str | None:
        """Return why states cannot be read, or not all of them; None if they can."""
        return self._why if self._open is None else self._open.projection.waiting_for()

    def staleness(self) -> float | None:
        """Return the seconds since this was known to hold all that the topics held; None: never."""
        self._note_progress()
        if self._complete_as_of is None:
            return None
        return asyncio.get_running_loop().time() - self._complete_as_of

    async def catch_up(self) -> str | None:
        """See `RunView.catch_up`."""
        return await self._ask(lambda view: view.catch_up())

    async def find(self, key: RunKey) -> RunState | None:
        """See `RunView.find`."""
        return await self._ask(lambda view: view.find(key))

    def accept(self, run: AcceptedRun) -> None:
        """See `RunView.accept`; while there is no view, the projection alone reads the record."""
        if self._open is not None:
            self._open.view.accept(run)

    async def events(
        self, key: RunKey, *, beyond: int, after: EventPlace | None, limit: int
    ) -> EventPage | None:
        """See `RunView.events`."""
        return await self._ask(
            lambda view: view.events(key, beyond=beyond, after=after, limit=limit)
        )

    async def contents(self, key: RunKey, sequence: int, *, max_bytes: int) -> tuple[RunEvent, ...]:
        """See `RunView.contents`."""
        return await self._ask(lambda view: view.contents(key, sequence, max_bytes=max_bytes))

    def subscribe(self, key: RunKey) -> AbstractContextManager[Subscription]:
        """See `RunView.subscribe`."""
        return self._subscriptions.subscribe(str(key))

    async def list(self, query: RunFilter, *, before: RunPlace | None, limit: int) -> RunPage:
        """See `RunView.list`."""
        return await self._ask(lambda view: view.list(query, before=before, limit=limit))

    async def count(self, query: RunFilter) -> Mapping[Phase, int]:
        """See `RunView.count`."""
        return await self._ask(lambda view: view.count(query))

    async def count_kinds(self, query: RunFilter) -> Sequence[KindCount]:
        """See `RunView.count_kinds`."""
        return await self._ask(lambda view: view.count_kinds(query))

    async def stream_end(self, *, tenants: Collection[str] | None = None) -> StreamPlace:
        """See `RunView.stream_end`."""
        return await self._ask(lambda view: view.stream_end(tenants=tenants))

    async def all_events(
        self, query: RunFilter, *, after: StreamPlace, limit: int, max_bytes: int
    ) -> StreamPage:
        """See `RunView.all_events`."""
        return await self._ask(
            lambda view: view.all_events(query, after=after, limit=limit, max_bytes=max_bytes)
        )

    def subscribe_all(self) -> AbstractContextManager[Subscription]:
        """See `RunView.subscribe_all`."""
        return self._subscriptions.subscribe_all()

    async def _session(self) -> None:
        async with self._opened() as opened, asyncio.TaskGroup() as group:
            for task in opened.tasks:
                group.create_task(task())

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[OpenView]:
        async with self._open_view() as opened:
            self._open = opened
            try:
                yield opened
            finally:
                self._note_progress()
                self._open = None

    async def _ask(self, question: Callable[[RunView], Awaitable[T]]) -> T:
        opened = self._open
        if opened is None:
            raise ViewUnavailableError(self._why)
        try:
            return await question(opened.view)
        except self._kept_in.errors as e:
            raise ViewUnavailableError(
                f"{self._kept_in.unreadable} ({self._kept_in.shown(e)})"
            ) from e
        except ValueError as e:
            if self._open is opened:
                raise
            # aiosqlite's word for a connection that was closed meanwhile.
            raise ViewUnavailableError(self._why) from e

    def _note_progress(self) -> None:
        staleness = None if self._open is None else self._open.projection.staleness()
        if staleness is not None:
            self._complete_as_of = asyncio.get_running_loop().time() - staleness


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
