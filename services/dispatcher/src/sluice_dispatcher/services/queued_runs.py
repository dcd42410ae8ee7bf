"""The requests for runs that are in flight, and how a stop reaches them."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Final, TypeVar

from sluice_contracts.ids import RunKey
from sluice_contracts.records import IncomingRecord
from sluice_contracts.request_codec import ReceivedRun
from sluice_contracts.requests import Command, CommandType
from sluice_dispatcher.domain.slots import Slot

__all__ = ["STOPPING", "QueuedRun", "QueuedRuns"]

STOPPING: Final[frozenset[CommandType]] = frozenset({"stop", "terminate"})
"""The commands that end a run which is not a Workflow yet."""

T = TypeVar("T")


class QueuedRun:
    """A request for a run from when it is read until it is finished; `task` handles it.

    Args:
        clock: seconds, also while the process or the machine is suspended.
        create_possible_since: when a create of the run may have been sent before; None: never.
    """

    def __init__(
        self,
        record: IncomingRecord,
        received: ReceivedRun,
        *,
        clock: Callable[[], float],
        create_possible_since: float | None,
    ) -> None:
        self.record = record
        self.received = received
        self.task: asyncio.Task[object] | None = asyncio.current_task()
        self.stopped_by: Command | None = None
        self.slot: Slot | None = None
        """The slot that was taken for this delivery of the request."""
        self._clock = clock
        self._create_possible_since = create_possible_since
        self._is_sending = False
        self._scope: asyncio.Timeout | None = None

    def stop(self, command: Command) -> None:
        """Ask for the run's end before it becomes a Workflow; the first command counts."""
        if self.stopped_by is None:
            self.stopped_by = command
            self._interrupt()

    async def unless_stopped(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """Return what `work` returns; None once the run is to be stopped.

        A stop interrupts the work wherever it waits, except in `sending`.
        """
        if self.stopped_by is not None:
            return None
        try:
            async with asyncio.timeout(None) as self._scope:
                return await work()
        except TimeoutError:
            if self._scope is None or not self._scope.expired():
                raise
            return None
        finally:
            self._scope = None

    @contextlib.contextmanager
    def sending(self) -> Iterator[Callable[[], None]]:
        """Note that a create is being sent, and may have been carried out.

        Yields:
            a function to call if the answer says that it was not carried out.
        """
        before = self._create_possible_since
        self._create_possible_since = self._clock()

        def exclude() -> None:
            self._create_possible_since = before

        self._is_sending = True
        try:
            yield exclude
        finally:
            self._is_sending = False
            if self.stopped_by is not None:
                self._interrupt()

    def create_is_possible(self, *, longest: timedelta) -> bool:
        """Return whether a create that was sent may still be carried out, after up to `longest`."""
        since = self._create_possible_since
        return since is not None and self._clock() - since < longest.total_seconds()

    def _interrupt(self) -> None:
        if self._scope is not None and not self._is_sending:
            self._scope.reschedule(asyncio.get_running_loop().time())


class QueuedRuns:
    """All requests for runs in flight, in the order in which they were read.

    Args:
        clock: see `QueuedRun`.
        is_first_reader_of: whether no other dispatcher can have acted on a record before.
    """

    def __init__(
        self, *, clock: Callable[[], float], is_first_reader_of: Callable[[IncomingRecord], bool]
    ) -> None:
        self._clock = clock
        self._is_first_reader_of = is_first_reader_of
        self._runs: dict[RunKey, list[QueuedRun]] = {}

    @contextlib.contextmanager
    def track(self, record: IncomingRecord, received: ReceivedRun) -> Iterator[QueuedRun]:
        """Count a request among those in flight, for as long as this task handles it."""
        known_since = None if self._is_first_reader_of(record) else self._clock()
        run = QueuedRun(record, received, clock=self._clock, create_possible_since=known_since)
        same_key = self._runs.setdefault(received.key, [])
        same_key.append(run)
        try:
            yield run
        finally:
            same_key.remove(run)
            if not same_key:
                del self._runs[received.key]

    def stop(self, command: Command) -> None:
        """Stop the requests for the command's run that were read before it, if it is such one."""
        if command.type not in STOPPING:
            return
        for run in self._runs.get(command.key, ()):
            run.stop(command)

    def __iter__(self) -> Iterator[QueuedRun]:
        """Iterate over a copy: requests come and go meanwhile."""
        return iter([run for same_key in self._runs.values() for run in same_key])
