"""Reads and writes the holders of slots, and finds out which of them have ended."""

import contextlib
from collections.abc import Callable, Sequence

import structlog

from sluice_contracts.ids import RunKey
from sluice_dispatcher.domain.live_runs import LiveRuns
from sluice_dispatcher.domain.slots import (
    Holder,
    Slot,
    SlotState,
    UnreadableSlotError,
    has_finished,
)
from sluice_dispatcher.domain.wait_reason import MustWaitError, WaitReason
from sluice_dispatcher.ports import Ledger, SlotStore
from sluice_dispatcher.services.run_workflows import RunWorkflows
from sluice_runtime.kubernetes.errors import (
    AlreadyExistsError,
    AnswerTooLargeError,
    ApiError,
    ApiUnavailableError,
    ConflictError,
    NotFoundError,
)

__all__ = ["SlotHolders"]

_log = structlog.get_logger(__name__)


class SlotHolders:
    """The holders of slots, as the cluster has them.

    Args:
        live: what the watch has seen. It only saves calls: every decision is by what is read.
    """

    def __init__(
        self, store: SlotStore, *, workflows: RunWorkflows, ledger: Ledger, live: LiveRuns
    ) -> None:
        self._store = store
        self._workflows = workflows
        self._ledger = ledger
        self._live = live

    async def read(self, slot: Slot) -> SlotState:
        """Return the newest state.

        Raises:
            ApiUnavailableError: there is none for now.
            MustWaitError: somebody has to repair the object first.
        """
        try:
            return await self._store.read(slot)
        except UnreadableSlotError as e:
            raise MustWaitError(str(e), reason=WaitReason.CONCURRENCY) from e
        except ApiError as e:
            raise ApiUnavailableError(str(e)) from e

    async def write(self, state: SlotState) -> None:
        """Write a state; ApiUnavailableError if it has changed since it was read, or may have."""
        try:
            await self._apply(state)
        except (ConflictError, AlreadyExistsError, NotFoundError) as e:
            raise ApiUnavailableError("The slots were changed before the write arrived.") from e
        except ApiError as e:
            raise ApiUnavailableError(str(e)) from e

    async def _apply(self, state: SlotState) -> None:
        if state.version is None:
            await self._store.create(state)
        elif state.holders:
            await self._store.replace(state)
        else:
            await self._store.delete(state)

    async def ended(self, state: SlotState) -> Sequence[Holder]:
        """Return the holders that have ended for good."""
        return [
            holder
            for holder in state.holders
            if not self._live.is_live(holder.workflow_name) and await self._has_ended(holder)
        ]

    async def _has_ended(self, holder: Holder) -> bool:
        try:
            workflow = await self._workflows.get(holder.key)
        except NotFoundError:
            # Without an outcome it can still become a Workflow.
            return await self._ledger.get(holder.key) is not None
        except ApiError as e:
            raise ApiUnavailableError(str(e)) from e
        return has_finished(workflow, holder)

    async def remove(self, state: SlotState, key: RunKey) -> None:
        """Take a run off; errors are those of the store."""
        if (mine := state.holder(key)) is not None:
            await self._apply(state.without([mine]))

    async def sweep(self, *, skip: Callable[[str], bool]) -> int:
        """Take off the holders that have ended, but for the names to skip.

        The ledger forgets an outcome after a week: until then each holder has to be taken off.

        Returns:
            how many slots cannot be read or freed; the log says why.

        Raises:
            ApiError, ApiUnavailableError: the others could not be swept either.
        """
        unswept: list[Exception] = []
        async for state in self._store.all(on_unreadable=unswept.append):
            if skip(state.slot.name):
                continue
            try:
                if ended := await self.ended(state):
                    with contextlib.suppress(ConflictError, NotFoundError):
                        await self._apply(state.without(ended))
            except (ApiError, AnswerTooLargeError) as e:
                unswept.append(e)
        for error in unswept:
            _log.warning("slot not swept", error=str(error))
        return len(unswept)
