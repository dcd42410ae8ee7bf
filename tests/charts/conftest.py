"""The programs that look at charts, and the charts rendered with each file of values."""

from pathlib import Path

import pytest

from testbed.stock import Stock
from tests.charts.kubeconform import Kubeconform
from tests.charts.rendering import (
    ALL_FILES,
    ALL_NAMES,
    CI_FILES,
    CI_NAMES,
    Helm,
    Rendered,
    chart_of,
)
from tests.support.stock import built, the_stock


@pytest.fixture(scope="session")
def stock() -> Stock:
    """What the testbed has built."""
    return the_stock()


@pytest.fixture(scope="session")
def helm(stock: Stock) -> Helm:
    """The helm that the testbed has built."""
    return Helm(built(stock.program("helm", "helm")))


@pytest.fixture(scope="session")
def kubeconform(stock: Stock) -> Kubeconform:
    """What knows the schemas of all kinds."""
    program = built(stock.program("kubeconform", "kubeconform"))
    return Kubeconform(program, schemas=built(stock.schemas()))


@pytest.fixture(scope="session")
def promtool(stock: Stock) -> Path:
    """What reads rules as Prometheus does."""
    return built(stock.program("prometheus", "promtool"))


@pytest.fixture(scope="session")
def helm_unittest(stock: Stock) -> Path:
    """What runs the suites that lie in the charts."""
    return built(stock.program("helm-unittest", "helm-unittest"))


@pytest.fixture(params=ALL_FILES, ids=ALL_NAMES)
def anything(request: pytest.FixtureRequest, helm: Helm) -> Rendered:
    """Any chart with any of its files of values."""
    return helm.rendered(request.param, chart=chart_of(request.param))


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
