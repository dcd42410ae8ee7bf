"""The file that has the limits of live runs."""

from pathlib import Path

from sluice_runtime.live_limits import Limits
from sluice_runtime.reloaded_file import ReloadedFile
from sluice_runtime.strict_yaml import read_yaml

__all__ = ["limits_file"]


def limits_file(path: Path) -> ReloadedFile[Limits]:
    """Read the file, and again whenever it changes while the result is run.

    Raises:
        FileError: it cannot be used.
    """
    return ReloadedFile(path, lambda content: read_yaml(content, Limits, source=str(path)))
