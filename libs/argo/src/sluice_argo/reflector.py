"""Lists and watches Sluice's Workflows, without end.

Three generators within each other: without end > list, then watch > one watch request. The rules
are those of client-go's Reflector, with more caution where Python's clients were seen to fail.
Whatever is unclear leads to a new list; it never goes on "from now". A silent stream is given up,
because TCP may report no error.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Any, Final

import structlog

from sluice_argo.line_splitter import LineSplitter, LineTooLongError
from sluice_argo.watch_event import ListComplete, WatchEvent
from sluice_argo.watch_health import WatchHealth
from sluice_argo.watch_settings import WatchSettings
from sluice_argo.workflow_list import WatchableWorkflows, list_workflows
from sluice_runtime.backoff import Backoff
from sluice_runtime.kubernetes.errors import ApiError, ApiUnavailableError, GoneError
from sluice_runtime.kubernetes.shallow_json import parse_shallow

__all__ = ["LONGEST_PAUSE", "Reflector", "RelistError"]

_log = structlog.get_logger(__name__)

Json = dict[str, Any]

LONGEST_PAUSE: Final = timedelta(seconds=30)
"""Between two attempts."""

# As client-go: no thundering herd after a short interruption.
_FIRST_PAUSE = timedelta(milliseconds=800)
# A watch that held for so long ends a row of failures.
_HEALTHY_AFTER_S = 120.0
# A watch request ends after a random time, so that not all of them end together.
_LEAST_TIMEOUT_S = 240.0
_MOST_TIMEOUT_S = 480.0
# A server may end a watch so much later than agreed.
_GRACE_S = 30.0
# Workflows fit into etcd's 1.5 MiB; JSON may escape some of it.
_MAX_LINE_BYTES = 8 * 1024 * 1024
_GONE = 410
_QUICK_CLOSE_S = 2.0
_QUICK_CLOSES = 2


class RelistError(Exception):
    """The watch cannot be relied on any more; `reason` is a word for metrics."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Reflector:
    """Yields every state of every Workflow that the API server shows.

    Args:
        workflows: lists and watches.
        settings: of the list and the watch.
        health: notes bytes and errors.
        on_relist: called with the reason before each new list.
        uniform: returns a random number between two bounds.
    """

    def __init__(
        self,
        workflows: WatchableWorkflows,
        settings: WatchSettings,
        *,
        health: WatchHealth,
        on_relist: Callable[[str], None],
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._workflows = workflows
        self._settings = settings
        self._health = health
        self._on_relist = on_relist
        self._uniform = uniform
        self._backoff = Backoff(first=_FIRST_PAUSE, longest=LONGEST_PAUSE, uniform=uniform)

    async def run(self) -> AsyncGenerator[WatchEvent | ListComplete, None]:
        """List and watch, again and again; after an error it goes on after a pause."""
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                async with aclosing(self._list_then_watch()) as events:
                    async for event in events:
                        yield event
                reason, pause, failures = "periodic", 0.0, 0
            except (RelistError, ApiError, ApiUnavailableError, LineTooLongError) as e:
                if loop.time() - began >= _HEALTHY_AFTER_S:
                    failures = 0
                failures += 1
                reason = _reason(e)
                self._health.failed(e)
                pause = self._backoff.delay(failures, at_least=getattr(e, "retry_after", 0.0))
                _log.warning("watch interrupted", reason=reason, error=str(e), retry_in=pause)
            self._on_relist(reason)
            await asyncio.sleep(pause)

    async def _list_then_watch(self) -> AsyncGenerator[WatchEvent | ListComplete, None]:
        """List once, then watch from there; ends when the next list is due."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._settings.relist_every.total_seconds()
        async with aclosing(
            list_workflows(self._workflows, limit=self._settings.page_size)
        ) as listing:
            version = ""
            async for item in listing:
                self._health.received()
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
        """Make one watch request; ends when the server ends it in order."""
        timeout = self._uniform(_LEAST_TIMEOUT_S, _MOST_TIMEOUT_S)
        seconds = max(1, int(min(timeout, at_most)))
        lines = LineSplitter(max_bytes=_MAX_LINE_BYTES)
        overdue = asyncio.get_running_loop().time() + seconds + _GRACE_S
        async with self._workflows.watch(
            resource_version=resource_version, timeout_seconds=seconds
        ) as chunks:
            while (chunk := await self._next(chunks, overdue=overdue)) is not None:
                self._health.received()
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


def _parse(line: bytes) -> tuple[str, Json]:
    try:
        event = parse_shallow(line)
        kind, obj = event["type"], event["object"]
        if kind == "ERROR":
            code = obj.get("code")
            raise RelistError(
                "gone" if code == _GONE else "error event",
                f"The watch answered {code} {obj.get('reason')}.",
            )
        _ = obj["metadata"]["resourceVersion"]
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise RelistError("bad json", "A line of the watch is not an event.") from e
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
