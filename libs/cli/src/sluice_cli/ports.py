"""What services need: clients of Sluice, and a screen."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, Unpack

from pydantic import BaseModel

from sluice_cli.domain.filters import Selection
from sluice_cli.domain.profiles import Connection
from sluice_cli.domain.tables import Table
from sluice_client import Event, RunFilters, RunHandle, RunStarter
from sluice_contracts.graphs import PlannedGraph
from sluice_contracts.status import StatusEvent

__all__ = ["Client", "Document", "RunView", "Screen", "Session"]

Document = BaseModel | Mapping[str, Any]


class Client(RunStarter[RunHandle], Protocol):
    """What the clients over HTTP and over Kafka have in common."""

    def run(self, id: str, *, tenant: str | None = None) -> RunHandle:  # noqa: A002 - the client's
        """Return a run that was started before; nothing is asked yet."""
        ...

    def events(
        self, *, after: str | None = None, **filters: Unpack[RunFilters]
    ) -> AsyncGenerator[Event]:
        """Yield the events of all runs."""
        ...


class RunView(Protocol):
    """Shows how a run goes on."""

    def show(self, event: Event) -> None:
        """Take over an event."""
        ...


class Screen(Protocol):
    """Where results and notes go; `now` is the time that they refer to."""

    def now(self) -> datetime:
        """Return the time, with its offset."""
        ...

    def result(self, document: Document, *, lines: Iterable[str], name: str) -> None:
        """Write one document; `lines` are for people, `name` is all that other commands need."""
        ...

    def results(self, documents: Sequence[Document], *, table: Table, names: Sequence[str]) -> None:
        """Write a list."""
        ...

    def event(self, event: Event) -> None:
        """Write an event of a stream that does not end."""
        ...

    def log(self, document: Document, *, text: str) -> None:
        """Write a line of a log; `text` is for people, and as it was written for a pipe."""
        ...

    def note(self, text: str) -> None:
        """Say something beside the result."""
        ...

    def hint(self, text: str) -> None:
        """Say what a person may type next; programs get nothing."""
        ...

    def view(self, run_id: str, graph: PlannedGraph | None) -> AbstractContextManager[RunView]:
        """Show how a run goes on, until the context is left."""
        ...

    def outcome(self, state: StatusEvent) -> None:
        """Write how a run has ended."""
        ...


@dataclass(frozen=True, kw_only=True)
class Session:
    """What a command is carried out with, beside a client."""

    connection: Connection
    screen: Screen

    def select(self, selection: Selection) -> RunFilters:
        """Return the filters of the client; without a tenant they are about all.

        Raises:
            UsageError: a filter is wrong.
        """
        return selection.filters(tenant=self.connection.tenant, now=self.screen.now())
