"""Liveness, readiness and metrics, on a separate port.

An answer proves that the event loop runs, so the service is alive. It is ready if everything that
it needs is available; otherwise the answer lists the reasons.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Annotated

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict, Field

__all__ = ["HealthSettings", "Readiness", "serve_probes"]

Readiness = Mapping[str, Callable[[], str | None]]
"""Per dependency, a function that returns why it is unavailable, or None if it is available."""


class HealthSettings(BaseModel):
    """The address of health and metrics."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: Annotated[str, Field(description="Address to listen on; answers hold no secrets.")] = (
        "127.0.0.1"
    )
    port: Annotated[
        int,
        Field(ge=0, le=65535, description="Port of /livez, /readyz and /metrics; 0: a free one."),
    ] = 8090


@asynccontextmanager
async def serve_probes(
    settings: HealthSettings,
    *,
    readiness: Readiness,
    registry: CollectorRegistry,
    degraded: Readiness | None = None,
) -> AsyncIterator[int]:
    """Serve /livez, /readyz and /metrics while the body runs, and yield the port.

    /readyz also reports the entries of `degraded`, but the service is ready without them.
    """
    app = web.Application()

    async def livez(_: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def readyz(_: web.Request) -> web.Response:
        lacking = _reasons(degraded or {})
        more = {"degraded": lacking} if lacking else {}
        if waiting := _reasons(readiness):
            answer = {"status": "not ready", "waiting_for": waiting, **more}
            return web.json_response(answer, status=503)
        return web.json_response({"status": "ready", **more})

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    app.add_routes(
        [
            web.get("/livez", livez),
            web.get("/readyz", readyz),
            web.get("/metrics", metrics),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _reasons(checks: Readiness) -> dict[str, str]:
    return {name: why for name, check in checks.items() if (why := check()) is not None}
