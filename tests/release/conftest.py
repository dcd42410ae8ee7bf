"""One Sluice that Argo CD delivers, for all tests here; each leaves it healthy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.docker.images import Images
from testbed.folders import default_folders
from testbed.testbed import Testbed
from testbed.versions import load_versions
from tests.release.delivery import Delivery, delivered
from tests.support.engines import Engine, real_engines, running_engine


@pytest.fixture(scope="session", params=real_engines()[:1])
def engine(request: pytest.FixtureRequest) -> Engine:
    """The newest Argo Workflows; how it gets its Workflows is the same whichever runs."""
    return running_engine(request.param)


@pytest.fixture(scope="session")
def testbed(engine: Engine) -> Testbed:
    """The testbed that runs, whose node has the images that this repository makes."""
    testbed = engine.cluster
    images = Images(default_folders(), load_versions(), repository=Path())
    images.build(say=print)
    for archive in images.service_archives():
        testbed.load_image(archive)
    return testbed


@pytest.fixture(scope="session")
def delivery(testbed: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivery]:
    """What Argo CD makes of an empty cluster that was given the root Application."""
    kafka = next(iter(testbed.kafka.values()))
    tree = tmp_path_factory.mktemp("fork")
    with delivered(testbed, tree, kafka=kafka) as delivery:
        yield delivery


@pytest.fixture(autouse=True)
def healthy(delivery: Delivery) -> None:
    """Each test begins with the last commit delivered, and well."""
    delivery.await_health("Healthy", commit=delivery.repository.head())
