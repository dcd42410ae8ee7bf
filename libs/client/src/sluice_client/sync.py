"""The client without `await`: the same methods, on an event loop in a thread of its own.

Do not use it in a coroutine: it would block the event loop there.
"""

import ssl
from collections.abc import Generator, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Any, Self, Unpack

from sluice_client import client as asynchronous
from sluice_client.dead_letters import DeadLetterFilters
from sluice_client.dead_letters import DeadLetters as AsynchronousDeadLetters
from sluice_client.errors import SluiceError
from sluice_client.filters import RunFilters
from sluice_client.identities import Identity
from sluice_client.outcomes import Event
from sluice_client.retries import Retries
from sluice_client.sync_loop import LoopInThread
from sluice_client.sync_runs import Item, Run
from sluice_client.tokens import Token
from sluice_contracts.http_dead_letters import DeadLetterContentDocument, DeadLetterDocument
from sluice_contracts.http_documents import (
    AcceptedControlDocument,
    ControlDocument,
    PreviewDocument,
    WorkflowDocument,
    WorkflowWithGraph,
)
from sluice_contracts.http_lists import ItemDocument, RunCountsDocument, RunSummaryDocument
from sluice_contracts.ids import DEFAULT_TENANT
from sluice_contracts.requests import CommandType, Priority, RunRequest

__all__ = ["DeadLetters", "Item", "Run", "Sluice"]


class Sluice:
    """A connection to a gateway: `with Sluice("https://…", token=…) as sluice`.

    The arguments are those of `sluice_client.Sluice`; `of` takes a client, such as the fake.
    """

    def __init__(
        self,
        address: str,
        *,
        token: Token | None = None,
        tenant: str = DEFAULT_TENANT,
        retries: Retries | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._client = asynchronous.Sluice(
            address, token=token, tenant=tenant, retries=retries, tls=tls
        )
        self._loop = LoopInThread()

    @classmethod
    def of(cls, client: asynchronous.Sluice) -> Self:
        """Return the same client without `await`; it must be used in this way alone."""
        made = cls("http://unused.invalid")
        made._client = client
        return made

    @property
    def dead_letters(self) -> "DeadLetters":
        """The dead letters that the gateway knows."""
        return DeadLetters(self._loop, self._client.dead_letters)

    def __repr__(self) -> str:
        """Name the gateway."""
        return repr(self._client)

    def __enter__(self) -> Self:
        """Return itself; the first request makes the first connection."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all connections, and end the thread."""
        self.close()

    def close(self) -> None:
        """Close all connections, and end the thread; calls that wait raise `SluiceError`."""
        with suppress(SluiceError):
            self._loop.call(self._client.close())
        self._loop.close()

    def start(
        self,
        workflow: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,  # noqa: A002 - the name that it has everywhere
        tenant: str | None = None,
        labels: Mapping[str, str] | None = None,
        priority: Priority = "normal",
        expires_at: datetime | None = None,
        parent: str | None = None,
    ) -> Run:
        """Start a run, and return it once Kafka has the request."""
        work = self._client.start(
            workflow,
            parameters,
            id=id,
            tenant=tenant,
            labels=labels,
            priority=priority,
            expires_at=expires_at,
            parent=parent,
        )
        return Run(self._loop, self._loop.call(work))

    def start_many(self, requests: Iterable[RunRequest]) -> list[Item]:
        """Start many runs; return what became of each, in their order."""
        items = self._loop.call(self._client.start_many(requests))
        return [Item(run=Run(self._loop, item.run), error=item.error) for item in items]

    def preview(
        self,
        workflow: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,  # noqa: A002 - the name that it has everywhere
        tenant: str | None = None,
    ) -> PreviewDocument:
        """Return what `start` would do; nothing is written."""
        return self._loop.call(self._client.preview(workflow, parameters, id=id, tenant=tenant))

    def run(self, id: str, *, tenant: str | None = None) -> Run:  # noqa: A002 - as everywhere
        """Return a run that was started before; nothing is asked yet."""
        return Run(self._loop, self._client.run(id, tenant=tenant))

    def runs(
        self, *, page_size: int = 100, **filters: Unpack[RunFilters]
    ) -> Generator[RunSummaryDocument]:
        """Yield runs, newest first: those that were accepted before this began, each once."""
        return self._loop.each(self._client.runs(page_size=page_size, **filters))

    def counts(self, **filters: Unpack[RunFilters]) -> RunCountsDocument:
        """Return how many runs there are, by phase."""
        return self._loop.call(self._client.counts(**filters))

    def events(
        self, *, after: str | None = None, **filters: Unpack[RunFilters]
    ) -> Generator[Event]:
        """Yield the events of all runs that the filters select; it does not end."""
        return self._loop.each(self._client.events(after=after, **filters))

    def command_all(
        self,
        command: CommandType,
        *,
        expect: int,
        reason: str | None = None,
        step: str | None = None,
        values: Mapping[str, str] | None = None,
        restart_succeeded: bool = False,
        **filters: Unpack[RunFilters],
    ) -> tuple[ItemDocument, ...]:
        """Give a command to all runs that the filters select; return what became of each."""
        return self._loop.call(
            self._client.command_all(
                command,
                expect=expect,
                reason=reason,
                step=step,
                values=values,
                restart_succeeded=restart_succeeded,
                **filters,
            )
        )

    def workflows(self) -> tuple[WorkflowDocument, ...]:
        """Return the catalogue: what you may start or read."""
        return self._loop.call(self._client.workflows())

    def workflow(self, name: str) -> WorkflowWithGraph:
        """Return one entry of the catalogue, with the steps that its runs may have."""
        return self._loop.call(self._client.workflow(name))

    def controls(self) -> tuple[ControlDocument, ...]:
        """Return what is paused or drained, why, and by whom."""
        return self._loop.call(self._client.controls())

    def pause(
        self, *, workflow: str | None = None, tenant: str | None = None, reason: str | None = None
    ) -> AcceptedControlDocument:
        """Start no more runs of a workflow or of a tenant; live runs go on."""
        return self._loop.call(self._client.pause(workflow=workflow, tenant=tenant, reason=reason))

    def drain(
        self, *, workflow: str | None = None, tenant: str | None = None, reason: str | None = None
    ) -> AcceptedControlDocument:
        """Pause, and say that you wait until the live runs are over."""
        return self._loop.call(self._client.drain(workflow=workflow, tenant=tenant, reason=reason))

    def resume(
        self, *, workflow: str | None = None, tenant: str | None = None, reason: str | None = None
    ) -> AcceptedControlDocument:
        """Start again what waits."""
        return self._loop.call(self._client.resume(workflow=workflow, tenant=tenant, reason=reason))

    def identity(self) -> Identity:
        """Return who this client is to the gateway, and what it may do."""
        return self._loop.call(self._client.identity())


class DeadLetters:
    """The dead letters that a gateway knows. See `sluice_client.DeadLetters`."""

    def __init__(self, loop: LoopInThread, letters: AsynchronousDeadLetters) -> None:
        self._loop = loop
        self._letters = letters

    def list(
        self, *, page_size: int = 100, **filters: Unpack[DeadLetterFilters]
    ) -> Generator[DeadLetterDocument]:
        """Yield dead letters, newest first, without what they hold."""
        return self._loop.each(self._letters.list(page_size=page_size, **filters))

    def show(self, id: str) -> DeadLetterContentDocument:  # noqa: A002 - as everywhere
        """Return one, with its problem and what it holds."""
        return self._loop.call(self._letters.show(id))

    def replay(
        self,
        id: str,  # noqa: A002 - as everywhere
        *,
        value: Mapping[str, Any] | None = None,
        reason: str | None = None,
    ) -> DeadLetterDocument:
        """Start its run, or carry out its command; `decision.run` of the answer says which run."""
        return self._loop.call(self._letters.replay(id, value=value, reason=reason))

    def drop(
        self,
        id: str,  # noqa: A002 - as everywhere
        *,
        reason: str | None = None,
    ) -> DeadLetterDocument:
        """Note that nobody needs it; it can still be read."""
        return self._loop.call(self._letters.drop(id, reason=reason))
