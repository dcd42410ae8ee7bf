"""Follows the events of all runs, from a place or from now on."""

import asyncio
from collections.abc import AsyncGenerator
from math import inf

from sluice_gateway.domain.reach import Reach
from sluice_gateway.domain.run_query import RunFilter, StreamPlace
from sluice_gateway.ports import RunView
from sluice_gateway.services.frame_format import FrameFormat
from sluice_gateway.services.shared_pages import FramePage, SharedPages

__all__ = ["follow_all"]


async def follow_all(
    view: RunView,
    pages: SharedPages,
    query: RunFilter,
    *,
    after: StreamPlace | None,
    form: FrameFormat,
    payloads: Reach,
    heartbeat: float,
) -> AsyncGenerator[FramePage]:
    """Yield the events behind `after` of the runs that fulfil the query, as they happen.

    Without `after` the stream begins with the events that are still to come. A page without frames
    says that nothing has happened: the first one, if there is nothing yet, and then one after
    `heartbeat` seconds of silence, also if there were only events of other runs. Ends when the
    process stops.

    Raises:
        LogTruncatedError: events behind the place are no longer kept.
        ViewUnavailableError: the view cannot be read.
        ProblemError: see `SharedPages.page`.
    """
    now = asyncio.get_running_loop().time
    with view.subscribe_all() as subscription:
        place = await view.stream_end(tenants=query.tenants) if after is None else after
        yielded = -inf
        while not subscription.closed:
            subscription.looked()
            async with pages.page(query, after=place, form=form, payloads=payloads) as page:
                if page.frames or now() - yielded >= heartbeat:
                    yielded = now()
                    yield page
                more = page.place != place
                place = page.place
            if not more:
                while not await subscription.wait(within=heartbeat):
                    yielded = now()
                    yield FramePage(frames=b"", place=place)
