"""Reads the dispatcher's file of limits."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from sluice_gateway.services.shown_limits import ShownLimits
from sluice_runtime.limits_file import limits_file
from sluice_runtime.live_limits import Limits
from sluice_runtime.reloaded_file import LOOK_EVERY, ReloadedFile
from sluice_runtime.strict_yaml import FileError

__all__ = ["LimitsReading", "limits_reading"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class LimitsReading:
    """The limits, and the tasks that keep them up to date."""

    limits: ShownLimits
    tasks: Mapping[str, Callable[[], Coroutine[Any, Any, None]]] = field(default_factory=dict)


def limits_reading(path: Path | None) -> LimitsReading:
    """Read the file, if there is one.

    One that cannot be used is logged, and looked at again: what is only shown must not keep a
    gateway from accepting runs.
    """
    if path is None:
        return LimitsReading(limits=ShownLimits())
    shown = _ShownFile(path)
    return LimitsReading(
        limits=ShownLimits(current=shown.current), tasks={"limits file": shown.run}
    )


class _ShownFile:
    """The newest version of the file that could be read, once there is one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: ReloadedFile[Limits] | None = None
        try:
            self._file = limits_file(path)
        except FileError as e:
            _log.error("limits are not shown, the file cannot be used", error=str(e))

    def current(self) -> Limits | None:
        return None if self._file is None else self._file.value

    async def run(self) -> None:
        """Look at the file every now and then, permanently."""
        while self._file is None:
            await asyncio.sleep(LOOK_EVERY.total_seconds())
            try:
                self._file = await asyncio.to_thread(limits_file, self._path)
            except FileError:
                # It was said at the start.
                continue
            _log.info("file read again", file=str(self._path))
        await self._file.run()
