"""Reads the dispatcher's file of limits."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sluice_gateway.services.shown_limits import ShownLimits
from sluice_runtime.limits_file import limits_file
from sluice_runtime.service import StartupError
from sluice_runtime.strict_yaml import FileError

__all__ = ["LimitsReading", "limits_reading"]


@dataclass(frozen=True, kw_only=True)
class LimitsReading:
    """The limits, and the tasks that keep them up to date."""

    limits: ShownLimits
    tasks: Mapping[str, Callable[[], Coroutine[Any, Any, None]]] = field(default_factory=dict)


def limits_reading(path: Path | None) -> LimitsReading:
    """Read the file, if there is one.

    Raises:
        StartupError: it cannot be used.
    """
    if path is None:
        return LimitsReading(limits=ShownLimits())
    try:
        file = limits_file(path)
    except FileError as e:
        raise StartupError(f"workflows.limits_file: {e}") from e
    return LimitsReading(
        limits=ShownLimits(current=lambda: file.value), tasks={"limits file": file.run}
    )
