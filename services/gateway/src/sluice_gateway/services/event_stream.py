"""Follows the events of one run: what was, then what comes, each event once and in order."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial

from sluice_contracts.ids import RunKey
from sluice_gateway.domain.models import EventHead, EventPage, EventPlace
from sluice_gateway.ports import RunView
from sluice_gateway.services.run_reader import find_or_raise, unavailable, view_problems

__all__ = ["follow"]

# A reader that is slow holds one page in memory: some kilobytes, for it has no contents.
_PAGE = 32


async def follow(
    view: RunView, key: RunKey, *, after: EventPlace | None, heartbeat: float
) -> AsyncGenerator[tuple[EventHead, ...]]:
    """Yield the run's events after `after` in pages, until the run is over.

    A page without events says that there is none: the first one, if there is nothing yet, and then
    one every `heartbeat` seconds of silence. While the run has no event, there is one also whenever
    something else about it has changed. Ends early when the process stops.

    Raises:
        ProblemError: UNKNOWN_RUN or UNAVAILABLE, before the first page.
    """
    beyond = -1
    with view.subscribe(key) as subscription:
        first = True
        while not subscription.closed:
            subscription.looked()
            look = partial(view.events, key, beyond=beyond, after=after, limit=_PAGE)
            page = await (_first(look, view=view) if first else look())
            if page is None:
                # So long over that it was forgotten meanwhile.
                return
            if page.events:
                beyond = page.events[-1].sequence
            waits_to_start = after is None and beyond < 0
            if page.events or ((first or waits_to_start) and not page.ended):
                yield page.events
            if page.ended:
                return
            first = False
            if not page.events:
                while not await subscription.wait(within=heartbeat):
                    yield ()


async def _first(look: Callable[[], Awaitable[EventPage | None]], *, view: RunView) -> EventPage:
    """Return the first page, of a view that has read what the client has seen elsewhere.

    Otherwise a run that was retried would still be over here.
    """
    page = await find_or_raise(look, view=view)
    if not page.is_behind:
        return page
    with view_problems():
        missing = await view.catch_up()
    if missing is not None:
        raise unavailable(f"The last event that was seen is not known here yet: {missing}.")
    return await find_or_raise(look, view=view)
