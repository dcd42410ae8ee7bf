"""The live runs of all namespaces: what is known of them, and what that allows."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from sluice_dispatcher.domain.pauses import NO_PAUSES, Pauses
from sluice_dispatcher.services.live_watch import LiveWatch
from sluice_runtime.kubernetes.namespaces import Namespaces

__all__ = ["LiveWatches"]


class LiveWatches:
    """A watch for each namespace.

    While one does not know its namespace, nothing starts. A namespace that the API server denies
    holds the runs of its own tenants alone: its last known runs count on.
    """

    def __init__(self, watches: Sequence[LiveWatch], *, namespaces: Namespaces) -> None:
        self._watches = watches
        self._namespaces = namespaces
        self._given, self._denied, self._joined = NO_PAUSES, frozenset[str](), NO_PAUSES

    async def run(self) -> None:
        """Follow the Workflows of all namespaces until cancelled."""
        async with asyncio.TaskGroup() as group:
            for watch in self._watches:
                group.create_task(watch.run(), name=f"live runs in {watch.namespace}")

    def waiting_for(self) -> str | None:
        """Return of which namespace the live runs are not known, and why; None while all are."""
        for watch in self._watches:
            if (why := watch.waiting_for()) is not None:
                return why if len(self._watches) == 1 else f"namespace {watch.namespace}: {why}"
        return None

    def known(self) -> Mapping[str, Callable[[], bool]]:
        """Return, by namespace, whether its live runs are known."""
        return {watch.namespace: partial(_is_known, watch) for watch in self._watches}

    def are_unknown(self) -> bool:
        """Return whether nothing may start, because live runs are not known."""
        waiting = [watch for watch in self._watches if watch.waiting_for() is not None]
        denied = [watch for watch in waiting if watch.is_denied]
        return len(denied) < len(waiting) or (bool(denied) and len(denied) == len(self._watches))

    def joined_to(self, pauses: Pauses) -> Pauses:
        """Return these pauses with the denied namespaces; the same object until something changes.

        Runs of a tenant are held while one of its namespaces is denied.
        """
        denied = frozenset(
            watch.namespace
            for watch in self._watches
            if watch.is_denied and watch.waiting_for() is not None
        )
        # Comparing all pauses would take long with many tenants: their source keeps them.
        if pauses is not self._given or denied != self._denied:
            self._given, self._denied = pauses, denied
            self._joined = replace(pauses, hides=self._hides) if denied else pauses
        return self._joined

    def _hides(self, tenant: str) -> bool:
        return not self._denied.isdisjoint(self._namespaces.places(tenant))


def _is_known(watch: LiveWatch) -> bool:
    return watch.waiting_for() is None
