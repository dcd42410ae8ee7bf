"""What the services need from outside, and nothing more."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from sluice_contracts.auth_context import Author
from sluice_contracts.controls import Control, ControlTarget
from sluice_contracts.dead_letters import LetterDecision
from sluice_contracts.fingerprints import RunContent
from sluice_contracts.ids import RunKey
from sluice_contracts.records import Appended, IncomingRecord, Position
from sluice_contracts.requests import Command, RunRequest
from sluice_contracts.status import Phase
from sluice_gateway.domain.models import (
    AcceptedRun,
    EventPage,
    EventPlace,
    RunEvent,
    RunState,
    StreamPage,
)
from sluice_gateway.domain.run_query import (
    KindCount,
    RunFilter,
    RunPage,
    RunPlace,
    StreamPlace,
)

__all__ = [
    "ControlProducer",
    "LetterGoneError",
    "LetterTopics",
    "LettersUnavailableError",
    "LogTruncatedError",
    "RecordTooLargeError",
    "RequestNotAcknowledgedError",
    "RequestProducer",
    "RunView",
    "Subscription",
    "TopicSetFullError",
    "UnsafeTopicError",
    "ViewUnavailableError",
]


class RequestNotAcknowledgedError(Exception):
    """Nobody acknowledged the record; it may have been written all the same."""


class UnsafeTopicError(Exception):
    """An acknowledgement would not mean that the record is kept; nothing was written."""


class TopicSetFullError(Exception):
    """Kafka does not acknowledge records of these topics as fast as they come.

    Nothing was written. Other topic sets have room of their own.
    """


class RecordTooLargeError(Exception):
    """The request makes a larger record than the dispatcher takes."""


class ViewUnavailableError(Exception):
    """The view cannot be used now; the message says why."""


class LogTruncatedError(Exception):
    """Events behind the place are no longer kept, so a stream cannot resume there."""


class RequestProducer(Protocol):
    """The request topic, seen from the writing end."""

    async def append(
        self,
        request: RunRequest,
        *,
        content: RunContent,
        key: RunKey,
        time: datetime,
        traceparent: str,
        author: Author,
    ) -> Appended:
        """Write the request and return where it stands, once all in-sync replicas have it.

        Raises:
            RequestNotAcknowledgedError: not acknowledged in time.
            UnsafeTopicError: the topic is not set up to keep what it acknowledges.
            TopicSetFullError: too much of its topic set is not acknowledged yet.
            RecordTooLargeError: it can never be written.
        """

    async def append_command(
        self, command: Command, *, time: datetime, traceparent: str, author: Author
    ) -> Appended:
        """Write a command under the key of its run; otherwise like `append`."""


class ControlProducer(Protocol):
    """The controls topic, seen from the writing end."""

    async def append_control(self, target: ControlTarget, control: Control) -> Appended:
        """Write the control, which has its time; otherwise like `RequestProducer.append`."""


class LetterGoneError(Exception):
    """The dead letter is no longer kept."""


class LettersUnavailableError(Exception):
    """A dead letter cannot be read now; the message says why."""


class LetterTopics(Protocol):
    """The dead letter topics."""

    async def read(self, position: Position) -> IncomingRecord:
        """Return the record at this position, in bounded time.

        Raises:
            LetterGoneError: it is no longer kept.
            LettersUnavailableError: it cannot be read now.
        """

    async def append_decision(self, letter: Position, decision: LetterDecision) -> Appended:
        """Write what was done with the letter behind it; otherwise like `RequestProducer.append`.

        No topic is unsafe for that.
        """


class Subscription(Protocol):
    """Says when there is more to read about a run."""

    @property
    def closed(self) -> bool:
        """Whether the process is stopping, so that no more changes are announced."""

    def looked(self) -> None:
        """Forget the changes so far; to be called before reading, so that none is missed."""

    async def wait(self, *, within: float) -> bool:
        """Wait for a change for `within` seconds; return whether there was one."""


class RunView(Protocol):
    """What is known of runs: a projection of every request and status record.

    Whatever reads raises ViewUnavailableError while there is no view.
    """

    async def catch_up(self) -> str | None:
        """Wait until all is here that the topics hold; say why, if that took too long."""

    async def find(self, key: RunKey) -> RunState | None:
        """Return the latest that is known of the run, None if nothing is."""

    def accept(self, run: AcceptedRun) -> None:
        """Know the run from now on, before the projection has read its record."""

    async def events(
        self, key: RunKey, *, beyond: int, after: EventPlace | None, limit: int
    ) -> EventPage | None:
        """Return the run's next events: sequence greater than `beyond`, not before or at `after`.

        None if nothing is known of the run.
        """

    async def contents(self, key: RunKey, sequence: int, *, max_bytes: int) -> tuple[RunEvent, ...]:
        """Return the run's events from `sequence` on, up to the one that makes it `max_bytes`."""

    def subscribe(self, key: RunKey) -> AbstractContextManager[Subscription]:
        """Subscribe to changes of the run while the body runs."""

    async def list(self, query: RunFilter, *, before: RunPlace | None, limit: int) -> RunPage:
        """Return the newest `limit` runs that fulfil the query; with `before`, those behind it."""

    async def count(self, query: RunFilter) -> Mapping[Phase, int]:
        """Return how many runs fulfil the query, by phase; phases without runs are left out."""

    async def count_kinds(self, query: RunFilter) -> Sequence[KindCount]:
        """Count likewise, by tenant, workflow and phase.

        The query has no conditions but tenant, workflow, phases, and what may be seen.
        """

    async def stream_end(self, *, tenants: Collection[str] | None = None) -> StreamPlace:
        """Return the place behind all events that are here now, on all topics of these tenants.

        None: on all topics there are.
        """

    async def all_events(
        self, query: RunFilter, *, after: StreamPlace, limit: int, max_bytes: int
    ) -> StreamPage:
        """Return the next events behind `after` of all runs that fulfil the query.

        There are at most `limit`, and no more once their data are `max_bytes` together. The events
        of a partition are in the order of their offsets. The phases of the query are those of the
        events, and everything else is about the run as it is now.

        Raises:
            LogTruncatedError: events behind `after` are no longer kept.
        """

    def subscribe_all(self) -> AbstractContextManager[Subscription]:
        """Subscribe to changes of all runs while the body runs."""
