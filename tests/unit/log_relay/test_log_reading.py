"""How the log of a step is read: by fakes, on a virtual clock."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from prometheus_client import CollectorRegistry

from sluice_contracts.ids import RunKey, workflow_name
from sluice_log_relay.domain.step_pods import LogRange, StepOfRun
from sluice_log_relay.metrics import Metrics
from sluice_log_relay.ports import PodsUnavailableError
from sluice_log_relay.services.log_reading import (
    BusyError,
    InterruptedLogError,
    LogReading,
    NoPodError,
)
from sluice_runtime.kubernetes.namespaces import Namespaces, TenantNamespace
from tests.support.fake_pods import FakePods, pod_of

pytestmark = pytest.mark.looptime

KEY = RunKey("acme", "order-1")
STEP = StepOfRun(
    key=KEY,
    namespace="acme-runs",
    uid="u1",
    node_id=f"{workflow_name(KEY)}-123",
    template="count",
)
PLACE = (STEP.namespace, STEP.pods[0])
ALL = LogRange()
NAMESPACES = Namespaces("argo", {"acme": TenantNamespace(namespace="acme-runs")})


def reading(pods: FakePods, *, max_streams: int = 8) -> LogReading:
    return LogReading(
        pods,
        namespaces=NAMESPACES,
        metrics=Metrics(CollectorRegistry()),
        max_streams=max_streams,
        patience=5,
    )


def written(*pieces: bytes | None, state: str = "terminated") -> FakePods:
    pods = FakePods({PLACE: pod_of(STEP, state)})
    for piece in pieces:
        pods.lines.put_nowait(piece)
    return pods


async def read(
    reader: LogReading, *, follow: bool = False, starting: bool = False, step: StepOfRun = STEP
) -> bytes:
    async with reader.open(step, ALL, follow=follow, starting=starting) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def test_a_log_is_passed_on_as_it_is() -> None:
    pods = written(b"1 a\n2 ", b"b\n", b"")
    assert await read(reading(pods)) == b"1 a\n2 b\n"
    assert pods.opened == [(STEP.pods[0], ALL, False)]
    assert pods.open_now == 0


async def test_the_part_that_is_asked_for_is_passed_on() -> None:
    pods, part = written(b""), LogRange(tail=5)
    async with reading(pods).open(STEP, part, follow=True, starting=False) as chunks:
        assert [chunk async for chunk in chunks] == []
    assert pods.opened == [(STEP.pods[0], part, True)]


@pytest.mark.parametrize("namespace", ["argo", "kube-system"])
async def test_only_namespaces_of_the_tenant_are_looked_into(namespace: str) -> None:
    elsewhere = StepOfRun(
        key=KEY, namespace=namespace, uid="u1", node_id=STEP.node_id, template="count"
    )
    pods = FakePods({(namespace, STEP.pods[0]): pod_of(STEP)})
    with pytest.raises(NoPodError):
        await read(reading(pods), step=elsewhere)
    assert pods.looks == 0


async def test_a_pod_that_is_gone_or_is_another_s_has_no_log() -> None:
    with pytest.raises(NoPodError):
        await read(reading(FakePods()))
    with pytest.raises(NoPodError):
        await read(reading(FakePods({PLACE: pod_of(STEP, uid="another")})))


async def test_a_container_that_has_not_started_has_an_empty_log() -> None:
    pods = FakePods({PLACE: pod_of(STEP, "waiting")})
    assert await read(reading(pods)) == b""
    assert await read(reading(FakePods()), starting=True) == b""
    assert pods.opened == []


async def test_a_container_that_starts_is_waited_for() -> None:
    pods = written(b"1 a\n", b"")
    # Both names that it can have.
    pods.coming = [None, None, None, None, pod_of(STEP, "waiting")]
    assert await read(reading(pods), follow=True, starting=True) == b"1 a\n"
    assert pods.coming == []


async def test_a_pod_that_does_not_come_is_not_waited_for_without_end() -> None:
    with pytest.raises(InterruptedLogError):
        await read(reading(FakePods()), follow=True, starting=True)


async def test_a_container_that_never_starts_ends_the_wait() -> None:
    pods = FakePods({PLACE: {**pod_of(STEP, "waiting"), "status": {"phase": "Failed"}}})
    assert await read(reading(pods), follow=True) == b""


async def test_the_end_of_a_log_is_the_end_once_its_container_has_ended() -> None:
    pods = written(b"1 a\n", b"")
    pods.coming = [pod_of(STEP, "running"), pod_of(STEP, "running"), pod_of(STEP, "running")]
    assert await read(reading(pods), follow=True) == b"1 a\n"
    assert pods.coming == []


async def test_the_end_of_a_log_is_the_end_if_its_pod_is_gone() -> None:
    pods = written(b"1 a\n", b"", state="running")

    async with reading(pods).open(STEP, ALL, follow=True, starting=False) as chunks:
        assert await anext(chunks) == b"1 a\n"
        pods.pods.clear()
        assert [chunk async for chunk in chunks] == []


async def test_a_log_that_ends_before_its_container_is_interrupted() -> None:
    with pytest.raises(InterruptedLogError):
        await read(reading(written(b"1 a\n", b"", state="running")), follow=True)


async def test_a_log_that_breaks_says_so() -> None:
    pods = written(b"1 a\n", None)
    with pytest.raises(PodsUnavailableError):
        await read(reading(pods))
    assert pods.open_now == 0


async def test_an_api_server_that_is_away_is_said_before_the_log_begins() -> None:
    pods = written()
    pods.unavailable = True
    with pytest.raises(PodsUnavailableError):
        async with reading(pods).open(STEP, ALL, follow=True, starting=False):
            pytest.fail("a log was opened")


async def test_the_number_of_logs_is_bounded() -> None:
    pods = written(b"1 a\n")
    reader = reading(pods, max_streams=1)

    async def hold(chunks: AsyncGenerator[bytes]) -> None:
        async with aclosing(chunks):
            assert await anext(chunks) == b"1 a\n"
            with pytest.raises(BusyError):
                await read(reader)

    async with reader.open(STEP, ALL, follow=True, starting=False) as chunks:
        await hold(chunks)
    pods.lines.put_nowait(b"")
    assert await read(reader) == b""
