"""Keeping the live runs of one key within its limit, exactly, whatever happens to dispatchers.

Every change of the object insists on the version that was read. So no two dispatchers give the same
place away. A run whose dispatcher dies keeps its slot for the next reader of its request.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Final

import structlog

from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.requests import SimpleCommand
from sluice_dispatcher.domain.fair_queue import BONUS_MS
from sluice_dispatcher.domain.indexed_heap import IndexedHeap
from sluice_dispatcher.domain.live_runs import LiveRuns
from sluice_dispatcher.domain.slots import Holder, Slot, SlotState, stop_patch
from sluice_dispatcher.domain.wait_reason import MustWaitError, WaitReason
from sluice_dispatcher.services.bounded_calls import BoundedCalls
from sluice_dispatcher.services.in_flight_budget import InFlightBudget
from sluice_dispatcher.services.queued_runs import QueuedRun, QueuedRuns
from sluice_dispatcher.services.retry_slots import RetrySlots
from sluice_dispatcher.services.run_workflows import RunWorkflows
from sluice_dispatcher.services.slot_holders import SlotHolders
from sluice_runtime.kubernetes.errors import (
    ApiError,
    ApiUnavailableError,
    ConflictError,
    NotFoundError,
)

__all__ = ["SlotAnswer", "Slots"]

_log = structlog.get_logger(__name__)

# Holders that end without a Workflow are not seen by the watch.
_LOOK_AGAIN_S: Final = 15.0
_SWEEP_S: Final = 300.0


class SlotAnswer(Enum):
    """What became of the wish for a slot."""

    TAKEN = auto()
    """The run holds a slot, which it did not before."""
    HELD = auto()
    """The run held one already: another delivery of its request got it."""
    FULL = auto()
    """Others hold all, and the workflow rejects in that case."""
    REPLACED = auto()
    """A newer run has taken or is to take the place."""
    EXPIRED = auto()
    """`expires_at` has come meanwhile."""
    EXISTS = auto()
    """Its Workflow has appeared meanwhile."""


@dataclass(eq=False, kw_only=True)
class _Line:
    """The requests of this dispatcher that wait for slots of one name, the next one first."""

    waiters: IndexedHeap[str] = field(default_factory=IndexedHeap)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Let all look again."""
        self.changed.set()
        self.changed = asyncio.Event()


class Slots:
    """Gives slots to runs, and takes them from runs that have ended.

    Args:
        live: what the watch has seen.
        queued: the requests in flight, to stop those that are replaced.
        on_sweep: called after each sweep with the number of slots that cannot be read or freed;
            None: the sweep failed.
    """

    def __init__(
        self,
        holders: SlotHolders,
        *,
        workflows: RunWorkflows,
        live: LiveRuns,
        queued: QueuedRuns,
        calls: BoundedCalls,
        budget: InFlightBudget,
        now: Callable[[], datetime],
        on_sweep: Callable[[int | None], None],
    ) -> None:
        self._holders = holders
        self._workflows = workflows
        self._live = live
        self._queued = queued
        self._calls = calls
        self._budget = budget
        self._now = now
        self._on_sweep = on_sweep
        self.of_retries = RetrySlots(holders, workflows=workflows, on_freed=self._wake)
        self._lines: dict[str, _Line] = {}
        self._lines_of_workflow: dict[str, set[str]] = defaultdict(set)

    async def take(self, queued: QueuedRun, slot: Slot) -> SlotAnswer:
        """Wait for a slot of the request's run, as its workflow says."""
        name = workflow_name(queued.received.key)
        existed = self._live.exists(name)
        async with self._in_line(queued, slot) as line:
            # Those before it may wait for this very run, which an earlier delivery gave a slot.
            if line.waiters.first != name and await self._holds(queued, slot):
                return SlotAnswer.HELD
            while True:
                changed = line.changed
                is_first = line.waiters.first == name
                if queued.received.request.has_expired(self._now()):
                    return SlotAnswer.EXPIRED
                if is_first:
                    answer = await self._calls.run(lambda: self._try(queued, slot), name="slot")
                    if answer is not None:
                        return answer
                if not existed and self._live.exists(name):
                    return SlotAnswer.EXISTS
                self._budget.mark_waiting(WaitReason.CONCURRENCY)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_AGAIN_S):
                        await changed.wait()

    async def leave(self, key: RunKey, slot: Slot) -> None:
        """Give back the slot of a run that did not become a Workflow; best effort.

        Its outcome is published, so the next run of the key finds that out anyway.
        """
        try:
            await self._holders.remove(await self._holders.read(slot), key)
        except (ApiError, ApiUnavailableError, MustWaitError) as e:
            _log.info("slot not given back now", error=type(e).__name__)
        self._wake(slot.name)

    def saw(self, name: str) -> None:
        """Note that a Workflow has changed: those that wait for its slot look again."""
        for line in self._lines_of_workflow.get(name, ()):
            self._wake(line)

    async def run(self) -> None:
        """Remove what nobody holds any more, now and then, until cancelled."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            try:
                unswept = await self._holders.sweep(skip=self._lines.__contains__)
            except (ApiError, ApiUnavailableError) as e:
                _log.warning("slots not swept", error=str(e))
                self._on_sweep(None)
            else:
                self._on_sweep(unswept)

    @contextlib.asynccontextmanager
    async def _in_line(self, queued: QueuedRun, slot: Slot) -> AsyncIterator[_Line]:
        name = workflow_name(queued.received.key)
        line = self._lines.setdefault(slot.name, _Line())
        line.waiters.put(name, _rank(queued, slot))
        watched = self._lines_of_workflow
        watched[name].add(slot.name)
        try:
            yield line
        finally:
            line.waiters.discard(name)
            self._unwatch(name, slot)
            self._wake(slot.name)
            if not len(line.waiters):
                del self._lines[slot.name]
                for holder in [each for each, lines in watched.items() if slot.name in lines]:
                    self._unwatch(holder, slot)

    async def _holds(self, queued: QueuedRun, slot: Slot) -> bool:
        state = await self._calls.run(lambda: self._holders.read(slot), name="slot")
        return state.holder(queued.received.key) is not None

    async def _try(self, queued: QueuedRun, slot: Slot) -> SlotAnswer | None:
        """Take a slot if there is one; None if all are held and the request is to wait."""
        key = queued.received.key
        state = await self._holders.read(slot)
        if state.holder(key) is not None:
            return SlotAnswer.HELD
        if len(state.holders) >= slot.limit:
            state = state.without(await self._holders.ended(state))
        if len(state.holders) < slot.limit:
            await self._holders.write(
                state.with_holder(
                    Holder(
                        tenant=key.tenant,
                        run_id=key.run_id,
                        accepted_ms=queued.record.timestamp_ms,
                    )
                )
            )
            return SlotAnswer.TAKEN
        for holder in state.holders:
            self._lines_of_workflow[holder.workflow_name].add(slot.name)
        match slot.when_full:
            case "reject":
                return SlotAnswer.FULL
            case "replace":
                return await self._replace(queued, state)
            case "queue":
                return None

    async def _replace(self, queued: QueuedRun, state: SlotState) -> SlotAnswer | None:
        """Stop the oldest run of the key, and older requests that wait; give way to newer ones."""
        mine = queued.record.timestamp_ms
        if any(holder.accepted_ms > mine for holder in state.holders):
            return SlotAnswer.REPLACED
        oldest = min(state.holders, key=lambda holder: holder.accepted_ms)
        await self._stop(oldest, by=queued.received.key.run_id)
        return None

    async def _stop(self, holder: Holder, *, by: str) -> None:
        reason = f"Replaced by the run {by}."
        self._queued.stop(
            SimpleCommand(type="stop", id=holder.run_id, tenant=holder.tenant, reason=reason)
        )
        try:
            workflow = await self._workflows.get(holder.key)
            if (workflow.get("spec") or {}).get("shutdown"):
                return
            patch = stop_patch(workflow, reason=reason, now=self._now())
            await self._workflows.patch(workflow, patch)
        except (NotFoundError, ConflictError):
            # It is not a Workflow yet, or it has just changed: the next look finds out.
            return
        except ApiError as e:
            raise ApiUnavailableError(str(e)) from e

    def _wake(self, name: str) -> None:
        if (line := self._lines.get(name)) is not None:
            line.wake()

    def _unwatch(self, workflow: str, slot: Slot) -> None:
        self._lines_of_workflow[workflow].discard(slot.name)
        if not self._lines_of_workflow[workflow]:
            del self._lines_of_workflow[workflow]


def _rank(queued: QueuedRun, slot: Slot) -> tuple[float, float, int]:
    accepted = queued.record.timestamp_ms
    if slot.when_full == "replace":
        # The newest one replaces the others.
        return (-float(accepted), 0.0, -queued.record.position.offset)
    age = float(accepted - BONUS_MS[queued.received.request.priority])
    return (age, 0.0, queued.record.position.offset)
