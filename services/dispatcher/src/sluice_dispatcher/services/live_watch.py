"""Follows the Workflows of all dispatchers in one namespace, to know which runs are live."""

import asyncio
from contextlib import aclosing
from typing import Final

import structlog
from structlog.contextvars import bound_contextvars

from sluice_argo.reflector import LONGEST_PAUSE, Reflector
from sluice_argo.watch_event import ListComplete
from sluice_argo.watch_health import WatchHealth
from sluice_argo.watch_settings import WatchSettings
from sluice_argo.workflow_list import WatchableWorkflows
from sluice_dispatcher.services.admission import Admission
from sluice_dispatcher.services.slots import Slots

__all__ = ["LiveWatch"]

_log = structlog.get_logger(__name__)

# Metadata alone: a few kilobytes of each Workflow.
_WATCHING: Final = WatchSettings(page_size=500)


class LiveWatch:
    """Lists and watches Workflows, and lets the admission decide after each change."""

    def __init__(
        self, workflows: WatchableWorkflows, *, admission: Admission, slots: Slots
    ) -> None:
        self.namespace = workflows.namespace
        self._admission = admission
        self._slots = slots
        self._health = WatchHealth(clock=lambda: asyncio.get_running_loop().time())
        self._listed_at = 0.0
        self._reflector = Reflector(
            workflows, _WATCHING, health=self._health, on_relist=self._note_list
        )

    @property
    def is_denied(self) -> bool:
        """Whether the API server answered that the namespace is not ours to see, or not there."""
        return self._health.is_denied

    def waiting_for(self) -> str | None:
        """Return why the live runs are not known, for a probe; None while they are."""
        why = f" ({self._health.error})" if self.is_denied else ""
        if not self._health.listed:
            return f"the live runs are not known yet: the Workflows have not been listed{why}"
        idle = self._health.idle_seconds()
        limit = (_WATCHING.silence + LONGEST_PAUSE).total_seconds()
        if idle > limit:
            silent = f"the API server has sent nothing for {idle:.0f} s"
            return f"the live runs are not known: {silent}{why}"
        return None

    async def run(self) -> None:
        """Follow the Workflows until cancelled."""
        with bound_contextvars(namespace=self.namespace):
            await self._run()

    async def _run(self) -> None:
        self._note_list("start")
        live = self._admission.live
        async with aclosing(self._reflector.run()) as events:
            async for event in events:
                if isinstance(event, ListComplete):
                    live.complete(event.uids, namespace=self.namespace, listed_at=self._listed_at)
                    _log.info("live runs listed", workflows=len(event.uids))
                elif (name := live.see(event.workflow, gone=event.gone)) is not None:
                    self._admission.saw(name)
                    self._slots.saw(name)
                self._admission.decide()

    def _note_list(self, _reason: str) -> None:
        self._listed_at = self._admission.time()
