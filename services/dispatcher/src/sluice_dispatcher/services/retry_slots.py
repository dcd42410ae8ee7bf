"""Slots for finished runs that a retry reopens, and back if the cluster refuses that."""

from collections.abc import Callable

import structlog

from sluice_argo import metadata
from sluice_contracts.ids import RunKey
from sluice_dispatcher.domain.models import Manifest
from sluice_dispatcher.domain.slots import Holder, Slot, not_reopened_patch
from sluice_dispatcher.domain.wait_reason import MustWaitError, WaitReason
from sluice_dispatcher.services.run_workflows import RunWorkflows
from sluice_dispatcher.services.slot_holders import SlotHolders
from sluice_runtime.kubernetes.errors import (
    ApiError,
    ApiUnavailableError,
    ConflictError,
    NotFoundError,
    RefusedError,
)

__all__ = ["RetrySlots"]

_log = structlog.get_logger(__name__)


class RetrySlots:
    """Holds a slot for a run before its Workflow is reopened.

    The entry names the version of the finished Workflow, and counts until that has changed: the
    retry's patch insists on that version.

    Args:
        on_freed: called with the name of a slot that has been given back.
    """

    def __init__(
        self, holders: SlotHolders, *, workflows: RunWorkflows, on_freed: Callable[[str], None]
    ) -> None:
        self._holders = holders
        self._workflows = workflows
        self._on_freed = on_freed

    async def hold(self, workflow: Manifest, key: RunKey, *, limit: int | None) -> None:
        """Hold a slot for a run that is about to be reopened; None: its workflow has no limit now.

        Raises:
            ApiUnavailableError: the answer was not clear.
            MustWaitError: others hold all slots of its key.
        """
        if limit is None or (slot := _slot_of(workflow, key, limit=limit)) is None:
            return
        state = await self._holders.read(slot)
        before = state.holder(key)
        me = Holder(
            tenant=key.tenant,
            run_id=key.run_id,
            accepted_ms=before.accepted_ms if before else 0,
            reopened=workflow["metadata"]["resourceVersion"],
        )
        if before == me:
            return
        others = state.without([before] if before else [])
        others = others.without(await self._holders.ended(others))
        if len(others.holders) >= limit:
            raise MustWaitError("Other runs of its key are live.", reason=WaitReason.CONCURRENCY)
        await self._holders.write(others.with_holder(me))

    async def give_back(self, workflow: Manifest, key: RunKey, *, limit: int | None) -> None:
        """Give back what `hold` took for a retry that the cluster refused.

        The entry counts until the Workflow has another version than `hold` has seen. So a mark is
        written to the Workflow; then late deliveries of the retry fail as well.

        Raises:
            ApiUnavailableError, MustWaitError: the retry is to be tried again.
        """
        if limit is None or (slot := _slot_of(workflow, key, limit=limit)) is None:
            return
        try:
            await self._workflows.patch(workflow, not_reopened_patch(workflow))
        except (ConflictError, NotFoundError):
            # It has changed since: another delivery may have reopened it.
            _log.info("workflow changed since its retry was refused", slot=slot.name)
        except RefusedError:
            await self._remove(workflow, key, slot)
        except ApiError as e:
            raise ApiUnavailableError(str(e)) from e
        self._on_freed(slot.name)

    async def _remove(self, workflow: Manifest, key: RunKey, slot: Slot) -> None:
        """Remove the entry of a Workflow that nobody may change, so that nobody can reopen it."""
        version = workflow["metadata"]["resourceVersion"]
        state = await self._holders.read(slot)
        mine = state.holder(key)
        try:
            current = await self._workflows.get(key)
        except ApiError as e:
            raise ApiUnavailableError(str(e)) from e
        is_unchanged = current["metadata"]["resourceVersion"] == version
        if is_unchanged and mine is not None and mine.reopened == version:
            await self._holders.write(state.without([mine]))


def _slot_of(workflow: Manifest, key: RunKey, *, limit: int) -> Slot | None:
    """Return the slot of a run's Workflow; None if it was created without any."""
    found = workflow["metadata"]
    name = (found.get("annotations") or {}).get(metadata.SLOT)
    if name is None:
        return None
    kind = found["labels"][metadata.WORKFLOW]
    return Slot(name=name, tenant=key.tenant, workflow=kind, limit=limit)
