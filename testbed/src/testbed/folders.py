"""Folders of the testbed: built parts stay after `down`, data of running programs do not."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Folders:
    """The folders of one testbed."""

    cache: Path
    """Built parts, by name, version and digest."""
    state: Path
    """Data, logs and certificates of what runs; removed by ``down``."""
    docker: Path
    """The same for Docker, which runs on a machine of its own."""

    @property
    def lock(self) -> Path:
        """Held by the one command that builds, starts or stops."""
        return self.cache.parent / "lock"

    @property
    def logs(self) -> Path:
        """One log file for each process."""
        return self.state / "logs"

    @property
    def kubeconfigs(self) -> Path:
        """One kubeconfig for each user of the cluster."""
        return self.state / "kubeconfigs"


def default_folders() -> Folders:
    """Return the folders below ``$XDG_CACHE_HOME/sluice/testbed``, or those in ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME")
    root = (Path(base) if base else Path.home() / ".cache") / "sluice" / "testbed"
    return Folders(cache=root / "parts", state=root / "state", docker=root / "docker")
