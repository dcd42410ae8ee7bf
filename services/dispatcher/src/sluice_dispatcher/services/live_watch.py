"""Follows the Workflows of all dispatchers, to know which runs are live."""

import asyncio
from contextlib import aclosing
from typing import Final

import structlog

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
        self._admission = admission
        self._slots = slots
        self._health = WatchHealth(clock=lambda: asyncio.get_running_loop().time())
        self._listed_at = 0.0
        self._reflector = Reflector(
            workflows, _WATCHING, health=self._health, on_relist=self._note_list
        )

    def waiting_for(self) -> str | None:
        """Return why the live runs are not known, for a probe; None while they are."""
        if not self._health.listed:
            return "the live runs are not known yet: the Workflows have not been listed"
        idle = self._health.idle_seconds()
        limit = (_WATCHING.silence + LONGEST_PAUSE).total_seconds()
        if idle > limit:
            return f"the live runs are not known: the API server has sent nothing for {idle:.0f} s"
        return None

    async def run(self) -> None:
        """Follow the Workflows until cancelled."""
        self._note_list("start")
        live = self._admission.live
        async with aclosing(self._reflector.run()) as events:
            async for event in events:
                if isinstance(event, ListComplete):
                    live.complete(event.uids, listed_at=self._listed_at)
                    _log.info("live runs listed", workflows=len(event.uids))
                elif (name := live.see(event.workflow, gone=event.gone)) is not None:
                    self._admission.saw(name)
                    self._slots.saw(name)
                self._admission.decide()

    def _note_list(self, _reason: str) -> None:
        self._listed_at = self._admission.time()
