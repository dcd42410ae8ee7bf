"""Notices when a run that waits to start gets another place in the queue."""

from typing import Final

from sluice_contracts.ids import RunKey
from sluice_contracts.status import QueueState
from sluice_gateway.domain.models import RunState
from sluice_gateway.ports import RunView

__all__ = ["QueueWatch"]

# It is computed again at every look.
_NO_CHANGE: Final = {"eta": None}


class QueueWatch:
    """Looks at one run."""

    def __init__(self, view: RunView, key: RunKey) -> None:
        self._view = view
        self._key = key
        self._last: QueueState | None = None

    async def change(self) -> RunState | None:
        """Return the run, if it waits and its place or what holds it up has changed.

        Raises:
            ViewUnavailableError: the view cannot be read.
        """
        state = await self._view.find(self._key)
        if state is None or state.queue is None:
            return None
        queue = state.queue.model_copy(update=_NO_CHANGE)
        if queue == self._last:
            return None
        self._last = queue
        return state
