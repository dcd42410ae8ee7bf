"""Docker Compose, which Debian's docker.io does not include."""

from pathlib import Path

from testbed.building.golang import GoPart, locks_dir
from testbed.building.parts import Say, build_all, built_folder
from testbed.folders import Folders
from testbed.locking import alone
from testbed.versions import Versions


def build_compose(folders: Folders, versions: Versions, *, say: Say) -> Path:
    """Build it if the cache lacks it, and return the program.

    Raises:
        TestbedError: Go or the network is missing.
    """
    part = GoPart(versions.go["compose"], locks_dir())
    with alone(folders.lock, say=say):
        build_all([part], cache=folders.cache, say=say)
    return built_folder(part, cache=folders.cache) / "docker-compose"
