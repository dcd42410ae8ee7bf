"""What the gateway gets, and nobody else."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry, generate_latest

from sluice_contracts.ids import RunKey, workflow_name
from sluice_log_relay.app import create_app
from sluice_log_relay.domain.step_pods import StepOfRun
from sluice_log_relay.handlers.app_keys import Limits
from sluice_log_relay.metrics import Metrics
from sluice_log_relay.services.log_reading import LogReading
from sluice_runtime.kubernetes.namespaces import Namespaces
from tests.support.fake_pods import FakePods, pod_of

KEY = RunKey("default", "order-1")
STEP = StepOfRun(
    key=KEY, namespace="argo", uid="u1", node_id=f"{workflow_name(KEY)}-1", template="a"
)
Client = TestClient[web.Request, web.Application]

SECRET = "s" * 32
AUTHORIZED = {"Authorization": f"Bearer {SECRET}"}
QUERY = {
    "tenant": "default",
    "run_id": "order-1",
    "namespace": "argo",
    "uid": "u1",
    "node_id": STEP.node_id,
    "template": "a",
}


@pytest.fixture
def pods() -> FakePods:
    return FakePods({("argo", STEP.pods[0]): pod_of(STEP, "terminated")})


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def relay(pods: FakePods, registry: CollectorRegistry) -> AsyncIterator[Client]:
    metrics = Metrics(registry)
    reading = LogReading(
        pods, namespaces=Namespaces("argo"), metrics=metrics, max_streams=2, patience=0
    )
    app = create_app(
        reading,
        secrets=lambda: (SECRET.encode(), b"n" * 40),
        metrics=metrics,
        limits=Limits(keepalive=0.01),
    )
    async with TestClient(TestServer(app, handler_cancellation=True)) as client:
        yield client


async def test_the_log_is_sent(relay: Client, pods: FakePods) -> None:
    for piece in (b"1 \xff\n", b"2 b\n", b""):
        pods.lines.put_nowait(piece)
    async with relay.get("/v1/log", params=QUERY, headers=AUTHORIZED) as response:
        assert response.status == 200
        assert await response.read() == b"1 \xff\n2 b\n"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": SECRET},
        {"Authorization": f"Basic {SECRET}"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {SECRET}s"},
        {"Authorization": f"Bearer {SECRET[1:]}"},
    ],
)
async def test_nothing_is_read_without_the_secret(
    relay: Client, pods: FakePods, headers: dict[str, str]
) -> None:
    async with relay.get("/v1/log", params=QUERY, headers=headers) as response:
        assert response.status == 401
    assert pods.looks == 0


async def test_a_second_secret_is_good_while_one_is_replaced(relay: Client, pods: FakePods) -> None:
    pods.lines.put_nowait(b"")
    headers = {"Authorization": "Bearer " + "n" * 40}
    async with relay.get("/v1/log", params=QUERY, headers=headers) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"tenant": "A"},
        {"run_id": "../x"},
        {"namespace": "a/b"},
        {"tail": "-1"},
        {"since": "x"},
        {"container": "wait"},
    ],
)
async def test_a_malformed_request_is_refused(
    relay: Client, pods: FakePods, wrong: dict[str, str]
) -> None:
    async with relay.get("/v1/log", params=QUERY | wrong, headers=AUTHORIZED) as response:
        assert response.status == 400
    assert pods.looks == 0


async def test_every_place_that_the_gateway_reads_has_a_second(
    relay: Client, pods: FakePods
) -> None:
    pods.lines.put_nowait(b"")
    latest = QUERY | {"since": str((10**19 - 1) // 10**9)}
    async with relay.get("/v1/log", params=latest, headers=AUTHORIZED) as response:
        assert response.status == 200
    assert pods.opened[0][1].since is not None


async def test_a_pod_that_is_gone_is_404(relay: Client, pods: FakePods) -> None:
    pods.pods.clear()
    async with relay.get("/v1/log", params=QUERY, headers=AUTHORIZED) as response:
        assert response.status == 404


async def test_an_api_server_that_is_away_is_503(relay: Client, pods: FakePods) -> None:
    pods.unavailable = True
    async with relay.get("/v1/log", params=QUERY, headers=AUTHORIZED) as response:
        assert response.status == 503
        assert response.headers["Retry-After"]


async def test_one_log_too_many_is_503(relay: Client) -> None:
    first = await relay.get("/v1/log", params=QUERY, headers=AUTHORIZED)
    second = await relay.get("/v1/log", params=QUERY, headers=AUTHORIZED)
    async with relay.get("/v1/log", params=QUERY, headers=AUTHORIZED) as response:
        assert response.status == 503
    first.close()
    second.close()


async def test_a_silent_log_gives_signs_of_life_between_lines_only(
    relay: Client, pods: FakePods
) -> None:
    follow = QUERY | {"follow": "true"}
    async with relay.get("/v1/log", params=follow, headers=AUTHORIZED) as response:
        assert await response.content.readline() == b"\n"
        pods.lines.put_nowait(b"1 begun")
        while (piece := await response.content.readany()).strip() == b"":
            pass
        assert piece.lstrip() == b"1 begun"
        pods.lines.put_nowait(b", ended\n")
        assert await response.content.readline() == b", ended\n"
        assert await response.content.readline() == b"\n"


async def test_a_log_that_breaks_is_cut(
    relay: Client, pods: FakePods, registry: CollectorRegistry
) -> None:
    pods.lines.put_nowait(b"1 a\n")
    pods.lines.put_nowait(None)
    async with relay.get("/v1/log", params=QUERY, headers=AUTHORIZED) as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    assert b"sluice_log_relay_interruptions_total 1.0" in generate_latest(registry)


async def test_a_reader_that_leaves_ends_its_log(relay: Client, pods: FakePods) -> None:
    follow = QUERY | {"follow": "true"}
    response = await relay.get("/v1/log", params=follow, headers=AUTHORIZED)
    pods.lines.put_nowait(b"1 a\n")
    while b"1 a" not in await response.content.readline():
        pass
    assert pods.open_now == 1
    response.close()
    await pods.left.wait()


async def test_other_methods_and_paths_are_not_served(relay: Client) -> None:
    assert (await relay.post("/v1/log", headers=AUTHORIZED)).status == 405
    assert (await relay.get("/", headers=AUTHORIZED)).status == 404
