"""Turns a request into a record on the request topic, once, and says what became of that."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import structlog

from sluice_contracts.fingerprints import RunContent
from sluice_contracts.http_documents import IdUse
from sluice_contracts.ids import RunKey, new_run_id
from sluice_contracts.problems import FieldError, ProblemType
from sluice_contracts.requests import RunRequest
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.identity import Identity, Scope
from sluice_gateway.domain.models import AcceptedRun, RunState
from sluice_gateway.domain.run_changes import moment
from sluice_gateway.domain.validation import validate
from sluice_gateway.ports import RequestProducer, RunView, ViewUnavailableError
from sluice_gateway.services.appending import append_problems
from sluice_gateway.services.flights import Flight, Flights
from sluice_gateway.services.request_quotas import RequestQuotas
from sluice_gateway.services.run_reader import find_if_any
from sluice_workflows.catalogue import Catalogue

__all__ = ["Asked", "Preview", "Replayed", "Started", "Submission"]

_log = structlog.get_logger(__name__)

# Runs are started without a view as well.
_VIEW_PATIENCE_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as it came in, and who asks.

    `idempotency_key` is the id that it was given by its header, `derived_id` the one of its
    CloudEvent, for a request that states none. `new_id` was made for a request without any of them:
    no run has it.
    """

    request: RunRequest
    content: RunContent
    idempotency_key: str | None
    derived_id: str | None = None
    new_id: str | None = None
    traceparent: str
    identity: Identity


@dataclass(frozen=True, kw_only=True)
class Started:
    """The request is acknowledged: the run will come to exactly one outcome."""

    key: RunKey
    workflow: str


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """The run was there already, asked for with the same content."""

    run: Started
    state: RunState


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What would become of a request; `key` and `id_use` are None if it states no id.

    `state` is the run that has the id, as far as the view knows it and it may be read.
    """

    key: RunKey | None
    id_use: IdUse | None
    state: RunState | None


class Submission:
    """Accepts runs; with `trusts_authors` the view shows who has asked."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        producer: RequestProducer,
        view: RunView,
        quotas: RequestQuotas,
        trusts_authors: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._quotas = quotas
        self._trusts_authors = trusts_authors
        self._catalogue = catalogue
        self._producer = producer
        self._view = view
        self._now = now
        self._flights: Flights[Started] = Flights()

    async def submit(self, asked: Asked) -> Started | Replayed:
        """Start the run, or give the one that the id already names.

        Raises:
            ProblemError: nothing was started, or (OUTCOME_UNKNOWN) that is not known.
        """
        _check_access(asked)
        self._quotas.take(principal=str(asked.identity.principal), tenant=asked.request.tenant)
        stated = _stated_id(asked)
        fingerprint = asked.content.fingerprint
        run_id = stated or asked.new_id or new_run_id(self._now())
        key = RunKey(asked.request.tenant, run_id)
        structlog.contextvars.bind_contextvars(run=str(key))
        with self._flights.joining(key):
            # Before validation: what was accepted once stays accepted, whatever has changed since.
            if stated is not None and (state := await self._known(key)) is not None:
                if state.fingerprint != fingerprint:
                    raise _conflict(asked)
                run = Started(key=key, workflow=asked.request.workflow)
                return Replayed(run=run, state=state)
            self._validate(asked)
            flight = self._flight(asked, key, fingerprint)
        return await asyncio.shield(flight.landed)

    async def preview(self, asked: Asked) -> Preview:
        """Say what `submit` would do with the request; nothing is written.

        Raises:
            ProblemError: the request is not valid; or UNAVAILABLE, if it is not known whether its
                id is free.
        """
        _check_access(asked)
        stated = _stated_id(asked)
        if stated is None:
            self._validate(asked)
            return Preview(key=None, id_use=None, state=None)
        key = RunKey(asked.request.tenant, stated)
        state = await find_if_any(partial(self._view.find, key), view=self._view)
        flight = self._flights.get(key)
        known = state.fingerprint if state else flight.fingerprint if flight else None
        if state is None and flight is None:
            use = IdUse.FREE
        elif known == asked.content.fingerprint:
            # Whatever has changed since: what was accepted once stays accepted.
            return Preview(key=key, id_use=IdUse.SAME_CONTENT, state=_seen(asked, state))
        else:
            use = IdUse.OTHER_CONTENT
        self._validate(asked)
        return Preview(key=key, id_use=use, state=_seen(asked, state))

    async def drain(self) -> None:
        """Wait for the records that are on their way."""
        await self._flights.drain()

    async def _known(self, key: RunKey) -> RunState | None:
        """Look the run up; without a view, the dispatcher's ledger alone knows repetitions."""
        try:
            async with asyncio.timeout(_VIEW_PATIENCE_S):
                return await self._view.find(key)
        except ViewUnavailableError as e:
            _log.warning("run not looked up", error=str(e))
        except TimeoutError:
            _log.warning("run not looked up", error="the view's volume does not answer")
        return None

    def _validate(self, asked: Asked) -> None:
        access, tenant = asked.identity.access, asked.request.tenant
        validate(
            asked.request,
            catalogue=self._catalogue,
            now=self._now(),
            is_shown=lambda name: access.allows(Scope.START, tenant=tenant, workflow=name),
        )

    def _flight(self, asked: Asked, key: RunKey, fingerprint: str) -> Flight[Started]:
        """Join the flight of the same request, or start one."""
        flight = self._flights.get(key)
        if flight is None:
            return self._flights.start(
                key, fingerprint=fingerprint, work=self._send(asked, key, fingerprint)
            )
        if flight.fingerprint != fingerprint:
            raise _conflict(asked)
        return flight

    async def _send(self, asked: Asked, key: RunKey, fingerprint: str) -> Started:
        request, author = asked.request.named(key.run_id), asked.identity.principal.author()
        now = self._now()
        unknown = (
            f"Kafka did not acknowledge run {key.run_id!r} in time; it may have been written all "
            "the same. Ask again with this id: it will never become a second run."
        )
        with append_problems(unknown=unknown):
            appended = await self._producer.append(
                request,
                content=asked.content,
                key=key,
                time=now,
                traceparent=asked.traceparent,
                author=author,
            )
        position = appended.position
        _log.info("run accepted", workflow=request.workflow, position=str(position))
        accepted = AcceptedRun(
            key=key,
            workflow=request.workflow,
            fingerprint=fingerprint,
            partition=position.partition,
            offset=position.offset,
            accepted_at=moment(appended.timestamp_ms),
            labels=request.labels,
            priority=request.priority,
            parent=request.parent,
            parameters=asked.content.parameters,
            requested_by=author.id if self._trusts_authors else None,
        )
        self._view.accept(accepted)
        return Started(key=key, workflow=request.workflow)


def _check_access(asked: Asked) -> None:
    """Refuse a start that is not granted, before anything is said of the catalogue or the id."""
    tenant, workflow = asked.request.tenant, asked.request.workflow
    if not asked.identity.access.allows(Scope.START, tenant=tenant, workflow=workflow):
        raise ProblemError.of(
            ProblemType.FORBIDDEN,
            f"{asked.identity.principal} has not been granted runs:start for this workflow and "
            "tenant. Nothing was started.",
            errors=(
                FieldError(pointer="/workflow", detail="Not granted for this tenant."),
                FieldError(pointer="/tenant", detail="Not granted for this workflow."),
            ),
        )


def _seen(asked: Asked, state: RunState | None) -> RunState | None:
    if state is None:
        return None
    access = asked.identity.access
    return state if access.allows_for_run(Scope.READ, state.key, workflow=state.workflow) else None


def _stated_id(asked: Asked) -> str | None:
    by_header, by_body = asked.idempotency_key, asked.request.id
    if by_header is not None and by_body is not None and by_header != by_body:
        raise ProblemError.of(
            ProblemType.INVALID_REQUEST,
            "The header Idempotency-Key and the document's id name different runs; give one of "
            "them, or the same twice.",
            errors=(FieldError(pointer="/id", detail="Differs from Idempotency-Key."),),
        )
    return by_header or by_body or asked.derived_id


def _conflict(asked: Asked) -> ProblemError:
    if asked.idempotency_key is not None:
        return ProblemError.of(
            ProblemType.IDEMPOTENCY_KEY_REUSED,
            "This Idempotency-Key was used for a request with other content. That run is "
            "untouched; take a new key for a new run.",
        )
    return ProblemError.of(
        ProblemType.ID_CONFLICT,
        "This id belongs to a run with other content, which is untouched; "
        "take a new id for a new run.",
        errors=(FieldError(pointer="/id", detail="Belongs to another run."),),
    )
