"""The testbed, a namespace in it, and its API as the administrator sees it."""

import ssl
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from testbed.cluster.certificates import Authority
from testbed.machine.addresses import API_URL
from testbed.testbed import Testbed
from tests.behaviour.kubernetes_client import KubernetesClient
from tests.support.engines import Engine, real_engines, running_engine
from tests.support.kafka import unique_name


@pytest.fixture(scope="session", params=real_engines()[:1])
def engine(request: pytest.FixtureRequest) -> Engine:
    """The newest Argo; what is asked of Kubernetes here is the same whichever runs."""
    return running_engine(request.param)


@pytest.fixture(scope="session")
def testbed(engine: Engine) -> Testbed:
    """The testbed that runs."""
    return engine.cluster


@pytest.fixture
def namespace(testbed: Testbed) -> Iterator[str]:
    """An empty namespace."""
    name = unique_name("cluster")
    kubectl = testbed.kubectl()
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
async def session(testbed: Testbed) -> AsyncIterator[aiohttp.ClientSession]:
    """Who asks as the administrator."""
    authority = Authority(testbed.folders.state / "certificates")
    context = ssl.create_default_context(cafile=authority.certificate)
    # As plain an authority as those of EKS, which Python 3.13 would not take.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.load_cert_chain(authority.certificate_of("admin"), authority.key_of("admin"))
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector) as asking:
        yield asking


@pytest.fixture
def api(session: aiohttp.ClientSession, namespace: str) -> KubernetesClient:
    """The API of the empty namespace."""
    return KubernetesClient(session, API_URL, namespace)
