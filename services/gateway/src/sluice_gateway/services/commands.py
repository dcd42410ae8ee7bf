"""Writes commands to the request topic, as any client of Kafka would."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog

from sluice_contracts.auth_context import Author
from sluice_contracts.problems import ProblemType
from sluice_contracts.records import Position
from sluice_contracts.requests import Command
from sluice_contracts.status import Phase
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.identity import Identity, Scope
from sluice_gateway.domain.models import RunState
from sluice_gateway.ports import RequestProducer, RunView
from sluice_gateway.services.appending import append_problems
from sluice_gateway.services.request_quotas import RequestQuotas
from sluice_gateway.services.run_reader import find_allowed

__all__ = ["Commands", "WrittenCommand"]

_log = structlog.get_logger(__name__)

# Commands are sent without a view as well: the dispatcher knows all that it does.
_VIEW_PATIENCE_S: Final = 5.0
_RETRY_AFTER_S: Final = 2
# The ones that no retry reopens: there is no Workflow, and there never will be one.
_NEVER_AGAIN: Final = frozenset({Phase.REJECTED, Phase.EXPIRED, Phase.DELETED})


@dataclass(frozen=True, kw_only=True)
class WrittenCommand:
    """A command that Kafka has acknowledged.

    `phase` is that in which the run was seen last before; None if it is not known, or not to this
    principal. A command to a run that has ended then changes nothing, unless it is a retry.
    """

    position: Position
    phase: Phase | None


class Commands:
    """Sends commands to runs.

    Whether a command applies is for the dispatcher to say, which reads the Workflow; the view may
    be behind. Only what can never change is refused here.
    """

    def __init__(
        self,
        *,
        producer: RequestProducer,
        view: RunView,
        quotas: RequestQuotas,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._producer = producer
        self._view = view
        self._quotas = quotas
        self._now = now
        self._on_their_way: set[asyncio.Task[Position]] = set()

    async def send(
        self, command: Command, *, identity: Identity, traceparent: str
    ) -> WrittenCommand:
        """Return the command as it stands on the request topic, once Kafka has acknowledged it.

        Raises:
            ProblemError: UNKNOWN_RUN, FORBIDDEN, NOT_APPLICABLE, RATE_LIMITED or UNAVAILABLE,
                nothing was written; or see `append_problems`.
        """
        structlog.contextvars.bind_contextvars(run=str(command.key))
        state = await self._state(command, identity)
        shown = None
        if state is not None:
            reads = identity.access.allows_for_run(Scope.READ, command.key, workflow=state.workflow)
            shown = state.phase if reads else None
        if state is not None and state.phase in _NEVER_AGAIN:
            known = "The run" if shown is None else f"The run is {shown}: it"
            raise ProblemError.of(
                ProblemType.NOT_APPLICABLE,
                f"{known} has no Workflow that a command could act on. Start a new run, or the "
                "same one again under a new id.",
            )
        self._quotas.take(principal=str(identity.principal), tenant=command.key.tenant)
        # A task of its own: the client may go away, the record is on its way all the same.
        task = asyncio.create_task(
            self._append(command, author=identity.principal.author(), traceparent=traceparent),
            name=f"command to {command.key}",
        )
        self._on_their_way.add(task)
        task.add_done_callback(self._on_their_way.discard)
        # The client may be gone; a failure that nobody waits for is in the log.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return WrittenCommand(position=await asyncio.shield(task), phase=shown)

    async def drain(self) -> None:
        """Wait for the records that are on their way."""
        while self._on_their_way:
            await asyncio.wait(self._on_their_way)

    async def _state(self, command: Command, identity: Identity) -> RunState | None:
        """Look the run up; return None if that is not possible now, nor needed."""
        access, key = identity.access, command.key
        try:
            async with asyncio.timeout(_VIEW_PATIENCE_S):
                state = await find_allowed(self._view, key, access, Scope.COMMAND, Scope.READ)
        except ProblemError as e:
            if e.problem.type is not ProblemType.UNAVAILABLE:
                raise
            unavailable = e
        except TimeoutError:
            unavailable = ProblemError.of(
                ProblemType.UNAVAILABLE,
                "Runs cannot be read here now: the view does not answer.",
                retry_after=_RETRY_AFTER_S,
            )
        else:
            if not access.allows_for_run(Scope.COMMAND, key, workflow=state.workflow):
                raise ProblemError.of(
                    ProblemType.FORBIDDEN,
                    f"{identity.principal} may read this run, and has not been granted "
                    "runs:command for its workflow and tenant. Nothing was written.",
                )
            return state
        if not access.allows_for_run(Scope.COMMAND, key, workflow=None):
            # It depends on the workflow of the run, which is not known.
            raise unavailable
        _log.warning("run not looked up", error=unavailable.problem.detail)
        return None

    async def _append(self, command: Command, *, author: Author, traceparent: str) -> Position:
        unknown = (
            f"Kafka did not acknowledge the command for run {command.id!r} in time; it may have "
            "been written all the same. Read the run, and repeat the command if it had no effect."
        )
        with append_problems(unknown=unknown):
            appended = await self._producer.append_command(
                command, time=self._now(), traceparent=traceparent, author=author
            )
        _log.info("command accepted", command=command.type, position=str(appended.position))
        return appended.position
