"""Liveness, readiness and metrics over a loopback socket."""

from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

from sluice_runtime.probes import HealthSettings, Readiness, serve_probes

ANYWHERE = HealthSettings(port=0)


async def _get(port: int, path: str) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as response,
    ):
        if response.content_type == "application/json":
            return response.status, await response.json()
        return response.status, await response.text()


async def test_ready_when_nothing_is_waited_for() -> None:
    readiness: Readiness = {"kafka": lambda: None}
    async with serve_probes(ANYWHERE, readiness=readiness, registry=CollectorRegistry()) as port:
        assert await _get(port, "/livez") == (200, {"status": "alive"})
        assert await _get(port, "/readyz") == (200, {"status": "ready"})
        assert (await _get(port, "/nothing"))[0] == 404


async def test_not_ready_it_says_what_it_waits_for_and_looks_again_each_time() -> None:
    waiting: dict[str, str | None] = {"kafka": "no broker answers", "view": None}
    readiness: Readiness = {
        "kafka": lambda: waiting["kafka"],
        "view": lambda: waiting["view"],
    }
    async with serve_probes(ANYWHERE, readiness=readiness, registry=CollectorRegistry()) as port:
        assert await _get(port, "/readyz") == (
            503,
            {"status": "not ready", "waiting_for": {"kafka": "no broker answers"}},
        )
        assert (await _get(port, "/livez"))[0] == 200
        waiting["kafka"] = None
        assert (await _get(port, "/readyz"))[0] == 200


async def test_metrics_are_those_of_the_registry() -> None:
    registry = CollectorRegistry()
    Counter("runs", "Runs.", registry=registry).inc(3)
    async with serve_probes(ANYWHERE, readiness={}, registry=registry) as port:
        status, text = await _get(port, "/metrics")
    assert status == 200
    assert "runs_total 3.0" in text


async def test_afterwards_nobody_listens() -> None:
    async with serve_probes(ANYWHERE, readiness={}, registry=CollectorRegistry()) as port:
        pass
    with pytest.raises(aiohttp.ClientConnectionError):
        await _get(port, "/livez")


async def test_a_port_in_use_is_named() -> None:
    async with serve_probes(ANYWHERE, readiness={}, registry=CollectorRegistry()) as port:
        again = serve_probes(HealthSettings(port=port), readiness={}, registry=CollectorRegistry())
        with pytest.raises(OSError, match=str(port)):
            await again.__aenter__()
