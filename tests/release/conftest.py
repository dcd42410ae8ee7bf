"""One Sluice that Argo CD delivers, for all tests here; each leaves it healthy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.docker.images import Images
from testbed.folders import default_folders
from testbed.testbed import Testbed
from testbed.versions import load_versions
from tests.release.delivery import Delivery, delivered
from tests.support.engines import real_engines, running_engine


@pytest.fixture(scope="session", params=real_engines()[:1])
def testbed(request: pytest.FixtureRequest) -> Testbed:
    """The testbed that runs, whose node has the images that this repository makes."""
    testbed = running_engine(request.param).cluster
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
    with delivered(testbed, tree, kafka=kafka.bootstrap_servers) as delivery:
        yield delivery
