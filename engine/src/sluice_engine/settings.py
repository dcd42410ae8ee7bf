"""Settings of the local engine."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

__all__ = ["ENGINE_VERSION", "SERVER_NAME", "EngineSettings"]

SERVER_NAME: Final = "sluice-local-engine"
ENGINE_VERSION: Final = "v1.34.0+sluice-local-engine"


def _default_parallel_steps() -> int:
    return max(2, 2 * (os.cpu_count() or 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """How the engine runs; the defaults suit one person on one machine."""

    data_dir: Path
    """Holds objects, step folders and artifacts."""
    host: str = "127.0.0.1"
    """It has no authentication and runs every program that it is sent, so keep it on loopback."""
    port: int = 6443
    """0 chooses a free one."""
    parallel_steps: int = field(default_factory=_default_parallel_steps)
    """Step processes at one time; twice the cores, since many of them wait."""
    bookmark_seconds: float = 10.0
    """Time between bookmarks; a real API server sends about one a minute."""
    history_changes: int = 4096
    """Changes kept for watches; a watch from an older version gets 410."""
    history_bytes: int = 16 * 1024 * 1024
    """Bytes of changes kept for watches."""
    log_bytes: int = 1024 * 1024
    """Limit of what is kept of each of a step's stdout and stderr."""
