"""A stand-in for the view of runs that knows nothing; tests override what they need."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager

from sluice_contracts.ids import RunKey
from sluice_contracts.status import Phase
from sluice_gateway.domain.models import (
    AcceptedRun,
    EventPage,
    EventPlace,
    RunEvent,
    RunState,
    StreamPage,
)
from sluice_gateway.domain.run_query import KindCount, RunFilter, RunPage, RunPlace, StreamPlace
from sluice_gateway.ports import Subscription


class EmptyView:
    """A view that knows nothing and notes nothing."""

    async def catch_up(self) -> str | None:
        """See `RunView.catch_up`."""
        return None

    async def find(self, key: RunKey) -> RunState | None:
        """See `RunView.find`."""
        return None

    def accept(self, run: AcceptedRun) -> None:
        """Forget it at once."""

    async def events(
        self, key: RunKey, *, beyond: int, after: EventPlace | None, limit: int
    ) -> EventPage | None:
        """See `RunView.events`."""
        return None

    async def contents(self, key: RunKey, sequence: int, *, max_bytes: int) -> tuple[RunEvent, ...]:
        """See `RunView.contents`."""
        return ()

    def subscribe(self, key: RunKey) -> AbstractContextManager[Subscription]:
        """See `RunView.subscribe`."""
        raise NotImplementedError

    async def list(self, query: RunFilter, *, before: RunPlace | None, limit: int) -> RunPage:
        """See `RunView.list`."""
        return RunPage(runs=(), next=None)

    async def count(self, query: RunFilter) -> Mapping[Phase, int]:
        """See `RunView.count`."""
        return {}

    async def count_kinds(self, query: RunFilter) -> Sequence[KindCount]:
        """See `RunView.count_kinds`."""
        return ()

    async def stream_end(self, *, tenants: Collection[str] | None = None) -> StreamPlace:
        """See `RunView.stream_end`."""
        return StreamPlace()

    async def all_events(
        self, query: RunFilter, *, after: StreamPlace, limit: int, max_bytes: int
    ) -> StreamPage:
        """See `RunView.all_events`."""
        return StreamPage(events=(), place=after)

    def subscribe_all(self) -> AbstractContextManager[Subscription]:
        """See `RunView.subscribe_all`."""
        raise NotImplementedError
