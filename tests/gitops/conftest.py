"""Each environment as Argo CD would deliver it."""

import functools
from collections.abc import Callable

import pytest

from testbed.folders import default_folders
from testbed.stock import Stock
from testbed.versions import load_versions
from tests.gitops.rendering import (
    ENVIRONMENTS,
    EVERYTHING,
    LITTLE,
    Cluster,
    Delivery,
    Helm,
    deliver,
)
from tests.support.engines import skip

Deliver = Callable[[str, Cluster], Delivery]


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """The helm that the testbed has built."""
    program = Stock(load_versions(), cache=default_folders().cache).program("helm", "helm")
    if not program.is_file():
        skip("helm is not built; `make test-charts` builds it")
    return Helm(program, scratch=tmp_path_factory.mktemp("fill"))


@pytest.fixture(scope="session")
def delivered(helm: Helm) -> Deliver:
    """What an environment is on a cluster; each is rendered once."""
    return functools.cache(lambda environment, cluster: deliver(helm, environment, cluster))


@pytest.fixture(params=ENVIRONMENTS)
def delivery(request: pytest.FixtureRequest, delivered: Deliver) -> Delivery:
    """An environment of ours, on a cluster that Pulumi made."""
    return delivered(request.param, EVERYTHING)


@pytest.fixture
def bare(delivered: Deliver) -> Delivery:
    """An environment without a platform, on a cluster with a Kafka of its own and no AWS."""
    return delivered("testbed", LITTLE)
