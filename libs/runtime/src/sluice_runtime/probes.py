"""Liveness, readiness and metrics, on a port of their own.

Alive: the event loop turns, which answering proves. Ready: everything that the service needs is
there; each reason why not is named.
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
"""Name of each thing needed, and what tells why it is not there (None: it is)."""


class HealthSettings(BaseModel):
    """Where health and metrics are served."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: Annotated[str, Field(description="Address to listen on; health says nothing secret.")] = (
        "127.0.0.1"
    )
    port: Annotated[
        int, Field(ge=0, le=65535, description="Port of /livez, /readyz and /metrics; 0: any.")
    ] = 8090


@asynccontextmanager
async def serve_probes(
    settings: HealthSettings,
    *,
    readiness: Readiness,
    registry: CollectorRegistry,
    degraded: Readiness | None = None,
) -> AsyncIterator[int]:
    """Serve /livez, /readyz and /metrics while the body runs; gives the port.

    What `degraded` names is told by /readyz, but the service is ready without it.
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
