"""Follows Sluice's Workflows on the API server, for ever.

Three generators, one inside the other: for ever > list, then watch > one watch request. The rules
are those of client-go's Reflector, made stricter where Python's clients were seen to fail: whatever
is unclear leads to a new list, never to "go on from now", and a stream that says nothing is given
up, for no TCP error ever tells of it.
"""

import asyncio
import json
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import structlog

from sluice_runtime.backoff import Backoff
from sluice_runtime.kubernetes.errors import ApiError, ApiUnavailableError, GoneError
from sluice_status_watcher.handlers.line_splitter import LineSplitter, LineTooLongError
from sluice_status_watcher.ports import Workflows
from sluice_status_watcher.settings import WatchSettings

__all__ = [
    "ListComplete",
    "Reflector",
    "RelistError",
    "WatchEvent",
    "WatchHealth",
    "list_workflows",
]

_log = structlog.get_logger(__name__)

Json = dict[str, Any]

# Workflows fit into etcd's 1.5 MiB; JSON may escape some of it.
_MAX_LINE_BYTES = 8 * 1024 * 1024
_GONE = 410
_QUICK_CLOSE_S = 2.0
_QUICK_CLOSES = 2


@dataclass(frozen=True)
class WatchEvent:
    """One Workflow as it is now; `gone` if this is the last state that it had."""

    workflow: Json
    gone: bool = False


@dataclass(frozen=True)
class ListComplete:
    """The end of a list: these are all Workflows that exist, and each was given before."""

    resource_version: str
    uids: frozenset[str]


class RelistError(Exception):
    """The watch cannot be trusted any more; `reason` is a word for metrics."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class WatchHealth:
    """When the API server was last heard, and what is wrong, for probes, metrics and the turn."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._heard_at: float | None = None
        self.listed = False
        self.trouble: str | None = "nothing was tried yet"
        """Why what was tried last has failed; None if it has not."""

    def heard(self) -> None:
        """Note that bytes have come in."""
        self._heard_at = self._clock()
        self.trouble = None

    def age(self) -> float:
        """Give the seconds since the last byte; infinite before the first."""
        return float("inf") if self._heard_at is None else self._clock() - self._heard_at


class Reflector:
    """Yields every state of every Workflow that it gets to see, and never ends."""

    def __init__(
        self,
        workflows: Workflows,
        settings: WatchSettings,
        *,
        health: WatchHealth,
        relisting: Callable[[str], None],
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._workflows = workflows
        self._settings = settings
        self._health = health
        self._relisting = relisting
        self._uniform = uniform
        self._backoff = Backoff(
            first=settings.backoff_first, longest=settings.backoff_longest, uniform=uniform
        )

    async def run(self) -> AsyncGenerator[WatchEvent | ListComplete, None]:
        """List and watch, again and again; what goes wrong is tried again after a pause."""
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                async with aclosing(self._list_then_watch()) as news:
                    async for change in news:
                        yield change
                reason, wait, failures = "periodic", 0.0, 0
            except (RelistError, ApiError, ApiUnavailableError, LineTooLongError) as e:
                if loop.time() - began >= self._settings.healthy_after.total_seconds():
                    failures = 0
                failures += 1
                reason, self._health.trouble = _reason(e), str(e)
                wait = self._backoff.delay(failures, at_least=getattr(e, "retry_after", 0.0))
                _log.warning("watch interrupted", reason=reason, error=str(e), retry_in=wait)
            self._relisting(reason)
            await asyncio.sleep(wait)

    async def _list_then_watch(self) -> AsyncGenerator[WatchEvent | ListComplete, None]:
        """List once, then watch on from there; ends when the next list is due."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._settings.relist_every.total_seconds()
        async with aclosing(
            list_workflows(self._workflows, limit=self._settings.page_size)
        ) as listing:
            version = ""
            async for item in listing:
                self._health.heard()
                if isinstance(item, ListComplete):
                    version = item.resource_version
                    self._health.listed = True
                yield item
        quick_closes = 0
        while (left := ends - loop.time()) > 0:
            opened, seen = loop.time(), False
            async with aclosing(self._watch_once(version, at_most=left)) as events:
                async for kind, obj in events:
                    if kind != "BOOKMARK":
                        seen = True
                        yield WatchEvent(obj, gone=kind == "DELETED")
                    version = obj["metadata"]["resourceVersion"]
            quick = loop.time() - opened < _QUICK_CLOSE_S and not seen
            quick_closes = quick_closes + 1 if quick else 0
            if quick_closes == _QUICK_CLOSES:
                raise RelistError("closed", "The watch was closed at once, twice in a row.")

    async def _watch_once(
        self, resource_version: str, *, at_most: float
    ) -> AsyncGenerator[tuple[str, Json], None]:
        """Make one watch request; ends when the server ends it cleanly."""
        settings = self._settings
        timeout = self._uniform(
            settings.timeout_least.total_seconds(), settings.timeout_most.total_seconds()
        )
        seconds = max(1, int(min(timeout, at_most)))
        lines = LineSplitter(max_bytes=_MAX_LINE_BYTES)
        overdue = asyncio.get_running_loop().time() + seconds + settings.grace.total_seconds()
        async with self._workflows.watch(
            resource_version=resource_version, timeout_seconds=seconds
        ) as chunks:
            while (chunk := await self._next(chunks, overdue=overdue)) is not None:
                self._health.heard()
                for line in lines.feed(chunk):
                    yield _parse(line)
        if lines.incomplete:
            raise RelistError("bad json", "The watch ended in the middle of a line.")

    async def _next(self, chunks: AsyncIterator[bytes], *, overdue: float) -> bytes | None:
        now = asyncio.get_running_loop().time()
        silent = now + self._settings.silence.total_seconds()
        try:
            async with asyncio.timeout_at(min(silent, overdue)):
                return await anext(chunks, None)
        except TimeoutError as e:
            raise RelistError("silence", "The watch has gone silent.") from e


async def list_workflows(
    workflows: Workflows, *, limit: int
) -> AsyncGenerator[WatchEvent | ListComplete, None]:
    """Give all Workflows page by page, then the mark that these were all.

    Raises:
        ApiError: GoneError if reading took so long that the list itself is history.
        ApiUnavailableError: no clear answer.
    """
    token: str | None = None
    uids: set[str] = set()
    while True:
        try:
            page = await workflows.list_page(limit=limit, continue_token=token)
        except RecursionError as e:
            raise ApiUnavailableError("A Workflow of the list is nested too deeply.") from e
        for item in page.items:
            uids.add(item["metadata"]["uid"])
            yield WatchEvent(item)
        token = page.continue_token
        if token is None:
            yield ListComplete(page.resource_version, frozenset(uids))
            return


def _parse(line: bytes) -> tuple[str, Json]:
    try:
        event = json.loads(line)
        kind, obj = event["type"], event["object"]
        if kind == "ERROR":
            code = obj.get("code")
            raise RelistError(
                "gone" if code == _GONE else "error event",
                f"The watch answered {code} {obj.get('reason')}.",
            )
        _ = obj["metadata"]["resourceVersion"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        raise RelistError("bad json", "A line of the watch is no event.") from e
    if kind not in {"ADDED", "MODIFIED", "DELETED", "BOOKMARK"}:
        raise RelistError("unknown event", f"The watch sent an event of type {kind!r:.40}.")
    return kind, obj


def _reason(error: Exception) -> str:
    match error:
        case RelistError():
            return error.reason
        case GoneError():
            return "gone"
        case LineTooLongError():
            return "line too long"
        case ApiError():
            return "refused"
        case _:
            return "unavailable"
