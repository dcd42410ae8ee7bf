"""Programs and files that the testbed has built, for tests that need no running testbed."""

from pathlib import Path

from testbed.folders import default_folders
from testbed.stock import Stock
from testbed.versions import load_versions
from tests.support.engines import skip


def the_stock() -> Stock:
    """Return all parts of the testbed, built or not."""
    return Stock(load_versions(), cache=default_folders().cache)


def built(path: Path) -> Path:
    """Return a path of the stock; skip the test if it is not built, or fail in CI."""
    if not path.exists():
        skip(f"{path.name} is not built; `python -m testbed build` builds it")
    return path


def built_program(part: str, name: str | None = None) -> Path:
    """Return a built program; by default the one with the part's name."""
    return built(the_stock().program(part, name or part))
