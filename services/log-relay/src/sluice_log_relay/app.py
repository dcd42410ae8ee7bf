"""Puts the log-relay together: ports in, an application out."""

from collections.abc import Callable

from aiohttp import web

from sluice_log_relay.handlers.app_keys import LIMITS, METRICS, READING, SECRETS, Limits
from sluice_log_relay.handlers.logs import PATH, get_log
from sluice_log_relay.metrics import Metrics
from sluice_log_relay.services.log_reading import LogReading

__all__ = ["create_app"]


def create_app(
    reading: LogReading,
    *,
    secrets: Callable[[], tuple[bytes, ...]],
    metrics: Metrics,
    limits: Limits,
) -> web.Application:
    """Make the application; `secrets` returns those that are good now."""
    app = web.Application()
    app[READING] = reading
    app[SECRETS] = secrets
    app[METRICS] = metrics
    app[LIMITS] = limits
    app.router.add_get(PATH, get_log, allow_head=False)
    return app
