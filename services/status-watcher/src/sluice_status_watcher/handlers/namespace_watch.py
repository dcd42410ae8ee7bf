"""Lists and watches the Workflows of one namespace."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import aclosing

from sluice_argo.reflector import LONGEST_PAUSE, Reflector
from sluice_argo.watch_health import WatchHealth
from sluice_argo.watch_settings import WatchSettings
from sluice_status_watcher.domain.work_item import WorkItem
from sluice_status_watcher.handlers.event_router import route_events
from sluice_status_watcher.handlers.work_queue import WorkQueue
from sluice_status_watcher.ports import ResultsReader, Workflows
from sluice_status_watcher.services.recovery import Recovered, recover
from sluice_status_watcher.services.workflow_parsing import WorkflowParser

__all__ = ["NamespaceWatch"]


class NamespaceWatch:
    """What is seen in one namespace, and how its watch is doing.

    Args:
        workflows: of the namespace.
        settings: of the list and the watch.
        parser: parses the Workflows.
        on_relist: called with the reason before each new list.
    """

    def __init__(
        self,
        workflows: Workflows,
        settings: WatchSettings,
        *,
        parser: WorkflowParser,
        on_relist: Callable[[str], None],
    ) -> None:
        self.workflows = workflows
        self.health = WatchHealth(clock=lambda: asyncio.get_running_loop().time())
        self.is_recovered = False
        self._settings = settings
        self._parser = parser
        self._reflector = Reflector(workflows, settings, health=self.health, on_relist=on_relist)

    @property
    def namespace(self) -> str:
        """The name of the namespace."""
        return self.workflows.namespace

    async def recover(self, results: ResultsReader) -> Recovered:
        """Return what is published of the Workflows that exist; repeated until that is known."""
        return await recover(
            self.workflows,
            results,
            self._parser,
            page_size=self._settings.page_size,
            health=self.health,
        )

    async def run(self, queue: WorkQueue[str, WorkItem], *, known: Iterable[str]) -> None:
        """Queue every state that the API server shows, until cancelled.

        `known` are the uids of Workflows that the reconciler knows before anything was seen.
        """
        async with aclosing(self._reflector.run()) as events:
            await route_events(events, queue, self._parser, known=known)

    def unrecovered(self) -> str | None:
        """Return why nothing is published yet; None once it is."""
        return None if self.is_recovered else f"the results topic is not read yet{self._denial()}"

    def stalled(self) -> str | None:
        """Return why the states are not known; None while they are."""
        if not self.health.listed:
            return f"the Workflows are not listed yet{self._denial()}"
        limit = (self._settings.silence + LONGEST_PAUSE).total_seconds()
        idle = self.health.idle_seconds()
        if idle <= limit:
            return None
        return f"the API server has sent nothing for {idle:.0f} s{self._denial()}"

    def _denial(self) -> str:
        return f" ({self.health.error})" if self.health.is_denied else ""
