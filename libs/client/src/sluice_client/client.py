"""The client over HTTP."""

import ssl
from collections.abc import AsyncGenerator, Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, Unpack
from urllib.parse import quote

from sluice_client.batches import Item, start_many
from sluice_client.calling import Caller, parsed
from sluice_client.controlling import control_call
from sluice_client.dead_letters import DeadLetters
from sluice_client.documents import checked, command_body, encoded, run_request
from sluice_client.filters import RunFilters, query_of
from sluice_client.following import follow
from sluice_client.http_transport import HttpTransport
from sluice_client.identities import Identity
from sluice_client.outcomes import Event
from sluice_client.retries import Retries
from sluice_client.runs import REPEAT_COMMAND, Run, started_run
from sluice_client.tokens import Token, TokenSource
from sluice_client.transport import Call, Transport
from sluice_contracts.http_documents import (
    AcceptedControlDocument,
    ControlDocument,
    ControlList,
    PreviewDocument,
    WorkflowDocument,
    Workflows,
    WorkflowWithGraph,
)
from sluice_contracts.http_lists import (
    ItemDocument,
    ItemsDocument,
    RunCountsDocument,
    RunListDocument,
    RunSummaryDocument,
)
from sluice_contracts.ids import DEFAULT_TENANT, RunKey, new_run_id
from sluice_contracts.requests import CommandType, Priority, RunRequest

__all__ = ["Sluice"]


class Sluice:
    """A connection to a gateway: `async with Sluice("https://…", token=…) as sluice`.

    Args:
        address: of the gateway.
        token: a key or token, a file that has it, or a function that returns it.
        tenant: who runs belong to, unless a call says so.
        retries: how long to try.
        tls: settings of TLS, such as a certificate authority of one's own.
        transport: sends the requests; the fake has one of its own.
    """

    def __init__(
        self,
        address: str,
        *,
        token: Token | None = None,
        tenant: str = DEFAULT_TENANT,
        retries: Retries | None = None,
        tls: ssl.SSLContext | None = None,
        transport: Transport | None = None,
    ) -> None:
        self.tenant = tenant
        self._address = address
        self._caller = Caller(
            transport or HttpTransport(address, tls=tls),
            tokens=TokenSource(token),
            retries=retries or Retries(),
        )
        self.dead_letters = DeadLetters(self._caller)

    def __repr__(self) -> str:
        """Name the gateway."""
        return f"<{type(self).__name__} {self._address}>"

    async def __aenter__(self) -> Self:
        """Return itself; the first request makes the first connection."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all connections."""
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._caller.close()

    async def start(
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
        """Start a run, and return it once Kafka has the request.

        The id is chosen before the first attempt, so that repetitions are the same run. Give one of
        your own, and you may repeat the call as well; `existed` of the run says so.

        Raises:
            IdConflictError: the id belongs to a run with other content.
            InvalidRequestError: the workflow or the parameters are wrong.
            OutcomeUnknownError: repeat it with the id in the message.
        """
        request = self._request(
            workflow=workflow,
            parameters=parameters,
            id=id or new_run_id(datetime.now(UTC)),
            tenant=tenant,
            labels=labels,
            priority=priority,
            expires_at=expires_at,
            parent=parent,
        )
        key = RunKey(request.tenant, request.id or "")
        answer = await self._caller.call(
            self._start_call(request), unclear=f"Start it again with the id {key.run_id!r}."
        )
        return started_run(self._caller, key, answer)

    async def start_many(self, requests: Iterable[RunRequest]) -> list[Item]:
        """Start many runs; return what became of each, in their order.

        Runs that could not be accepted for the moment are tried again. A request without a tenant
        is of the client's tenant.
        """
        return await start_many(self._caller, requests, tenant=self.tenant)

    async def preview(
        self,
        workflow: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,  # noqa: A002 - the name that it has everywhere
        tenant: str | None = None,
    ) -> PreviewDocument:
        """Return what `start` would do; nothing is written.

        Raises:
            InvalidRequestError: the workflow or the parameters are wrong.
        """
        request = self._request(workflow=workflow, parameters=parameters, id=id, tenant=tenant)
        call = self._start_call(request, ("validate_only", "true"))
        return parsed(PreviewDocument, await self._caller.call(call))

    def run(self, id: str, *, tenant: str | None = None) -> Run:  # noqa: A002 - as everywhere
        """Return a run that was started before; nothing is asked yet.

        Raises:
            InvalidRequestError: no run can have this id.
        """
        return Run(self._caller, checked(RunKey(tenant or self.tenant, id)))

    async def runs(
        self, *, page_size: int = 100, **filters: Unpack[RunFilters]
    ) -> AsyncGenerator[RunSummaryDocument]:
        """Yield runs, newest first: those that were accepted before this began, each once."""
        query = (*query_of(filters), ("limit", str(page_size)))
        cursor: str | None = None
        while True:
            place = () if cursor is None else (("cursor", cursor),)
            call = Call(method="GET", path="/v1/runs", query=(*query, *place))
            page = parsed(RunListDocument, await self._caller.call(call))
            for run in page.runs:
                yield run
            cursor = page.next_cursor
            if cursor is None:
                return

    async def counts(self, **filters: Unpack[RunFilters]) -> RunCountsDocument:
        """Return how many runs there are, by phase."""
        call = Call(method="GET", path="/v1/runs:counts", query=tuple(query_of(filters)))
        return parsed(RunCountsDocument, await self._caller.call(call))

    def events(
        self, *, after: str | None = None, **filters: Unpack[RunFilters]
    ) -> AsyncGenerator[Event]:
        """Yield the events of all runs that the filters select; it does not end.

        `after` is the place of an event: the next one is the one behind it. Without it, the events
        that are still to come are yielded. `phases` selects events, everything else runs.

        Raises:
            EventsGoneError: the events behind the place are no longer kept.
        """
        call = Call(method="GET", path="/v1/events", query=tuple(query_of(filters)))
        return follow(self._caller, call, after=after)

    async def command_all(
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
        """Give a command to all runs that the filters select; return what became of each.

        `expect` is how many you have counted. `step` and `values` are for `resume`, `step` and
        `restart_succeeded` for `retry`, as of one run.

        Raises:
            CountChangedError: another number of runs is selected by now; nothing was written.
        """
        call = Call(
            method="POST",
            path=f"/v1/runs:{command}",
            query=(*query_of(filters), ("expect", str(expect))),
            body=command_body(
                reason=reason,
                step=step,
                values=dict(values or {}),
                restart_succeeded=restart_succeeded,
            ),
            repeat=REPEAT_COMMAND[command],
        )
        unclear = f"Read the runs, and repeat {command} for those on which it had no effect."
        return parsed(ItemsDocument, await self._caller.call(call, unclear=unclear)).items

    async def workflows(self) -> tuple[WorkflowDocument, ...]:
        """Return the catalogue: what you may start or read."""
        answer = await self._caller.call(Call(method="GET", path="/v1/workflows"))
        return parsed(Workflows, answer).workflows

    async def workflow(self, name: str) -> WorkflowWithGraph:
        """Return one entry of the catalogue, with the steps that its runs may have.

        Raises:
            NotFoundError: there is no such entry.
        """
        call = Call(method="GET", path=f"/v1/workflows/{quote(name, safe='')}")
        return parsed(WorkflowWithGraph, await self._caller.call(call))

    async def controls(self) -> tuple[ControlDocument, ...]:
        """Return what is paused or drained, why, and by whom."""
        answer = await self._caller.call(Call(method="GET", path="/v1/controls"))
        return parsed(ControlList, answer).controls

    async def pause(
        self, *, workflow: str | None = None, tenant: str | None = None, reason: str | None = None
    ) -> AcceptedControlDocument:
        """Start no more runs of a workflow or of a tenant; live runs go on."""
        call = control_call("pause", workflow=workflow, tenant=tenant, reason=reason)
        return await self._control(call)

    async def drain(
        self, *, workflow: str | None = None, tenant: str | None = None, reason: str | None = None
    ) -> AcceptedControlDocument:
        """Pause, and say that you wait until the live runs are over."""
        call = control_call("drain", workflow=workflow, tenant=tenant, reason=reason)
        return await self._control(call)

    async def resume(
        self, *, workflow: str | None = None, tenant: str | None = None, reason: str | None = None
    ) -> AcceptedControlDocument:
        """Start again what waits."""
        call = control_call("resume", workflow=workflow, tenant=tenant, reason=reason)
        return await self._control(call)

    async def identity(self) -> Identity:
        """Return who this client is to the gateway, and what it may do."""
        return parsed(Identity, await self._caller.call(Call(method="GET", path="/v1/identity")))

    async def _control(self, call: Call) -> AcceptedControlDocument:
        return parsed(AcceptedControlDocument, await self._caller.call(call))

    def _request(self, **members: object) -> RunRequest:
        return run_request({**members, "tenant": members.get("tenant") or self.tenant})

    def _start_call(self, request: RunRequest, *query: tuple[str, str]) -> Call:
        body = encoded(request.model_dump(mode="json", exclude_defaults=True))
        return Call(method="POST", path="/v1/runs", query=query, body=body)
