"""The client without `await`: the same methods, on an event loop in a thread of its own.

Do not use it in a coroutine: it would block the event loop there.
"""

import asyncio
import ssl
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from pydantic import JsonValue

from sluice_client import client as asynchronous
from sluice_client import runs as asynchronous_runs
from sluice_client.errors import SluiceError
from sluice_client.filters import RunFilters
from sluice_client.outcomes import Event, Outcome
from sluice_client.retries import Retries
from sluice_client.tokens import Token
from sluice_contracts.http_documents import (
    AcceptedControlDocument,
    ControlDocument,
    PreviewDocument,
    RunDocument,
    WorkflowDocument,
    WorkflowWithGraph,
)
from sluice_contracts.http_lists import ItemDocument, RunCountsDocument, RunSummaryDocument
from sluice_contracts.ids import DEFAULT_TENANT
from sluice_contracts.requests import CommandType, Priority, RunRequest

__all__ = ["Item", "Run", "Sluice"]

T = TypeVar("T")


class _Loop:
    """An event loop in a thread, which ends with the program."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="sluice-client", daemon=True
        )
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of the work; an interruption of this thread cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def each(self, items: AsyncGenerator[T]) -> Generator[T]:
        """Yield the items as they come."""

        async def following() -> tuple[T] | None:
            try:
                return (await anext(items),)
            except StopAsyncIteration:
                return None

        try:
            while (found := self.call(following())) is not None:
                yield found[0]
        finally:
            self.call(items.aclose())

    def close(self) -> None:
        """Stop the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Run:
    """A run; making one asks nothing. See `sluice_client.Run`."""

    def __init__(self, loop: _Loop, run: asynchronous_runs.Run) -> None:
        self._loop = loop
        self._run = run

    @property
    def id(self) -> str:
        """Its id, unique within the tenant."""
        return self._run.id

    @property
    def tenant(self) -> str:
        """Who it belongs to."""
        return self._run.tenant

    @property
    def watch_link(self) -> str | None:
        """A path that shows it to others, if the gateway makes such links."""
        return self._run.watch_link

    def __repr__(self) -> str:
        """Name the run."""
        return repr(self._run)

    def state(self) -> RunDocument:
        """Return the latest state, with all steps."""
        return self._loop.call(self._run.state())

    def wait(self, timeout: float | None = None) -> Outcome:
        """Return how the run has ended, once it has; at most after `timeout` seconds."""
        return self._loop.call(self._run.wait(timeout))

    def events(self, *, after: str | None = None) -> Generator[Event]:
        """Yield what happens to the run, until it is over."""
        return self._loop.each(self._run.events(after=after))

    def stop(self, *, reason: str | None = None) -> str:
        """Stop the run; its exit handlers run."""
        return self._loop.call(self._run.stop(reason=reason))

    def terminate(self, *, reason: str | None = None) -> str:
        """Terminate the run at once."""
        return self._loop.call(self._run.terminate(reason=reason))

    def suspend(self, *, reason: str | None = None) -> str:
        """Start no further steps."""
        return self._loop.call(self._run.suspend(reason=reason))

    def resume(
        self,
        step: str | None = None,
        values: Mapping[str, str] | None = None,
        *,
        reason: str | None = None,
    ) -> str:
        """Let the run go on, or one suspended step of it, with the values that it waits for."""
        return self._loop.call(self._run.resume(step, values, reason=reason))

    def retry(
        self,
        step: str | None = None,
        *,
        restart_succeeded: bool = False,
        reason: str | None = None,
    ) -> str:
        """Run again what did not succeed, or a step and all that follows it, or everything."""
        return self._loop.call(
            self._run.retry(step, restart_succeeded=restart_succeeded, reason=reason)
        )

    def rerun(
        self,
        *,
        id: str | None = None,  # noqa: A002 - the name that it has everywhere
        parameters: Mapping[str, JsonValue] | None = None,
        labels: Mapping[str, str] | None = None,
        priority: Priority | None = None,
        expires_at: datetime | None = None,
    ) -> "Run":
        """Start a new run with the parameters of this one, which becomes its parent."""
        work = self._run.rerun(
            id=id, parameters=parameters, labels=labels, priority=priority, expires_at=expires_at
        )
        return Run(self._loop, self._loop.call(work))


@dataclass(frozen=True, kw_only=True)
class Item:
    """What became of one run of many; `error` is None if it was accepted."""

    run: Run
    error: SluiceError | None

    def raise_for_error(self) -> Run:
        """Return the run, if it was accepted; else raise the error."""
        if self.error is not None:
            raise self.error
        return self.run


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
        self._loop = _Loop()

    @classmethod
    def of(cls, client: asynchronous.Sluice) -> Self:
        """Return the same client without `await`; it must be used in this way alone."""
        made = cls("http://unused.invalid")
        made._client = client
        return made

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
        """Close all connections, and end the thread."""
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
        **filters: Unpack[RunFilters],
    ) -> tuple[ItemDocument, ...]:
        """Give a command to all runs that the filters select; return what became of each."""
        return self._loop.call(
            self._client.command_all(command, expect=expect, reason=reason, **filters)
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
