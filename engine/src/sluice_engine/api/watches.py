"""Watches: a stream of changes from a resource version on."""

import asyncio
import random
from collections.abc import Iterator

from aiohttp import web

from sluice_engine.api.queries import ListQuery
from sluice_engine.api.responses import bookmark, event
from sluice_engine.documents import decode, encode
from sluice_engine.store.errors import ApiError, expired
from sluice_engine.store.history import Change
from sluice_engine.store.resources import Resource
from sluice_engine.store.store import Store

__all__ = ["Watches"]

_DEFAULT_TIMEOUT = (1800.0, 3600.0)
"""Seconds; as an API server without --min-request-timeout, so that not all end at once."""


class Watches:
    """Serves watches until it is stopped.

    Args:
        store: whose changes are sent.
        bookmark_seconds: time between bookmarks for those who want them.
    """

    def __init__(self, store: Store, *, bookmark_seconds: float) -> None:
        self._store = store
        self._bookmark_seconds = bookmark_seconds
        self._stopping = False

    def stop(self) -> None:
        """End all watches cleanly, as an API server does when it shuts down."""
        self._stopping = True
        self._store.history.wake()

    async def serve(
        self, request: web.Request, resource: Resource, namespace: str, query: ListQuery
    ) -> web.StreamResponse:
        """Stream changes, one JSON line each, until the timeout.

        Without a resource version the current objects come first, as ADDED. A version that is not
        kept any more, or not yet reached, ends the stream with an ERROR event that says 410.
        """
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        version, first = self._start(resource, namespace, query)
        if first:
            await response.write(first)
        loop = asyncio.get_running_loop()
        # Spreads the reconnects of clients; not a secret.
        timeout = query.timeout or random.uniform(*_DEFAULT_TIMEOUT)  # noqa: S311
        end = loop.time() + timeout
        next_bookmark = loop.time() + self._bookmark_seconds if query.bookmarks else end
        ended = False
        while not ended:
            changed = self._store.history.next_change()
            ended = self._stopping or loop.time() >= end
            try:
                lines = b"".join(self._lines(resource, namespace, query, version))
            except ApiError as e:
                await response.write(event("ERROR", encode(e.status())))
                break
            version = self._store.version
            if query.bookmarks and (ended or loop.time() >= next_bookmark):
                lines += bookmark(resource, version)
                next_bookmark = loop.time() + self._bookmark_seconds
            if lines:
                await response.write(lines)
            if not ended:
                await _wait(changed, until=min(end, next_bookmark))
        await response.write_eof()
        return response

    def _start(self, resource: Resource, namespace: str, query: ListQuery) -> tuple[int, bytes]:
        if query.version is not None and not query.initial_events:
            return query.version, b""
        page = self._store.select(resource, namespace=namespace, selector=query.selector)
        lines = [event("ADDED", body) for body in page.bodies]
        if query.initial_events and query.bookmarks:
            lines.append(bookmark(resource, page.version, initial_events_end=True))
        return page.version, b"".join(lines)

    def _lines(
        self, resource: Resource, namespace: str, query: ListQuery, version: int
    ) -> Iterator[bytes]:
        if version > self._store.version:
            # The version is from a data folder that was removed: make the client list again.
            raise expired(version, self._store.version)
        for change in self._store.history.after(version):
            key = change.key
            if key.resource is resource and (not namespace or key.namespace == namespace):
                line = _line(change, query)
                if line is not None:
                    yield line


def _line(change: Change, query: ListQuery) -> bytes | None:
    """Return the event that a watch with a selector gets for a change, or None."""

    def selected(labels: dict[str, str]) -> bool:
        key = change.key
        return query.selector.matches(namespace=key.namespace, name=key.name, labels=labels)

    was = change.before is not None and selected(dict(change.before.labels))
    is_now = not change.deleted and selected(dict(change.after.labels))
    match was, is_now:
        case False, True:
            return event("ADDED", change.after.body)
        case True, True:
            return event("MODIFIED", change.after.body)
        case True, False if change.deleted:
            return event("DELETED", change.after.body)
        case True, False if change.before is not None:
            # It left the selection: send the state before, at the version of the change.
            obj = decode(change.before.body)
            obj["metadata"]["resourceVersion"] = str(change.version)
            return event("DELETED", encode(obj))
        case _:
            return None


async def _wait(changed: asyncio.Event, *, until: float) -> None:
    try:
        async with asyncio.timeout_at(until):
            await changed.wait()
    except TimeoutError:
        return
