"""Helm, and the chart rendered with each file of values."""

from pathlib import Path

import pytest

from testbed.folders import default_folders
from testbed.stock import Stock
from testbed.versions import load_versions
from tests.charts.rendering import CI_FILES, CI_NAMES, Helm, Rendered
from tests.support.engines import skip


@pytest.fixture(scope="session")
def helm() -> Helm:
    """The helm that the testbed has built."""
    program = Stock(load_versions(), cache=default_folders().cache).program("helm", "helm")
    if not program.is_file():
        skip("helm is not built; `make test-charts` builds it")
    return Helm(program)


@pytest.fixture(params=CI_FILES, ids=CI_NAMES)
def values(request: pytest.FixtureRequest) -> Path:
    """A file of values."""
    file: Path = request.param
    return file


@pytest.fixture
def rendered(helm: Helm, values: Path) -> Rendered:
    """The chart with that file."""
    return helm.rendered(values)


@pytest.fixture
def default(helm: Helm) -> Rendered:
    """The chart as it is."""
    return helm.rendered(CI_FILES[CI_NAMES.index("default")])


@pytest.fixture
def everything(helm: Helm) -> Rendered:
    """The chart with all that can be on at once."""
    return helm.rendered(CI_FILES[CI_NAMES.index("everything")])
