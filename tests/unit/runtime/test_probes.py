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


async def test_a_service_is_ready_without_reasons() -> None:
    readiness: Readiness = {"kafka": lambda: None}
    async with serve_probes(ANYWHERE, readiness=readiness, registry=CollectorRegistry()) as port:
        assert await _get(port, "/livez") == (200, {"status": "alive"})
        assert await _get(port, "/readyz") == (200, {"status": "ready"})
        assert (await _get(port, "/nothing"))[0] == 404


async def test_readiness_lists_current_reasons() -> None:
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


async def test_metrics_come_from_the_registry() -> None:
    registry = CollectorRegistry()
    Counter("runs", "Runs.", registry=registry).inc(3)
    async with serve_probes(ANYWHERE, readiness={}, registry=registry) as port:
        status, text = await _get(port, "/metrics")
    assert status == 200
    assert "runs_total 3.0" in text


async def test_the_port_is_closed_afterwards() -> None:
    async with serve_probes(ANYWHERE, readiness={}, registry=CollectorRegistry()) as port:
        pass
    with pytest.raises(aiohttp.ClientConnectionError):
        await _get(port, "/livez")


async def test_a_port_in_use_is_named() -> None:
    async with serve_probes(ANYWHERE, readiness={}, registry=CollectorRegistry()) as port:
        again = serve_probes(HealthSettings(port=port), readiness={}, registry=CollectorRegistry())
        with pytest.raises(OSError, match=str(port)):
            await again.__aenter__()
