"""Serves the application; a reader that leaves ends its log at once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from sluice_log_relay.settings import HttpSettings

__all__ = ["serve_http"]


@asynccontextmanager
async def serve_http(app: web.Application, settings: HttpSettings) -> AsyncIterator[int]:
    """Serve while the body runs, and yield the port; afterwards all logs are cut.

    The gateway then continues them by another replica, or by the next process.
    """
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
