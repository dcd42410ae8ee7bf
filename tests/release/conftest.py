"""One Sluice that Argo CD delivers, for all tests of it; each leaves it healthy, but the last."""

from collections.abc import Callable, Iterator

import pytest

from testbed.testbed import Testbed
from tests.release.delivery import Delivery, delivered
from tests.support.engines import Engine, real_engines, running_engine
from tests.support.releases import load_images


@pytest.fixture(scope="session", params=real_engines()[:1])
def engine(request: pytest.FixtureRequest) -> Engine:
    """The newest Argo Workflows; how it gets its Workflows is the same whichever runs."""
    return running_engine(request.param)


@pytest.fixture(scope="session")
def testbed(engine: Engine) -> Testbed:
    """The testbed that runs, whose node has the images that this repository makes."""
    testbed = engine.cluster
    load_images(testbed)
    return testbed


@pytest.fixture(scope="session")
def delivery(testbed: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivery]:
    """What Argo CD makes of an empty cluster that was given the root Application."""
    kafka = next(iter(testbed.kafka.values()))
    tree = tmp_path_factory.mktemp("fork")
    with delivered(testbed, tree, kafka=kafka) as delivery:
        yield delivery


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print figures at once, whether the test fails or not."""

    def said(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}")

    return said


@pytest.fixture
def healthy(delivery: Delivery) -> None:
    """Each test begins with the last commit delivered, and well."""
    delivery.await_health("Healthy", commit=delivery.repository.head())
