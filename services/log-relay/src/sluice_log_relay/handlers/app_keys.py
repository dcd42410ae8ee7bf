"""What handlers find in the application, by typed keys."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from sluice_log_relay.metrics import Metrics
from sluice_log_relay.services.log_reading import LogReading

__all__ = ["LIMITS", "METRICS", "READING", "SECRETS", "Limits"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Times in seconds: between signs of life, and for the gateway to take what was written."""

    keepalive: float = 10.0
    write_timeout: float = 60.0


READING: Final = web.AppKey("reading", LogReading)
METRICS: Final = web.AppKey("metrics", Metrics)
LIMITS: Final = web.AppKey("limits", Limits)
SECRETS: Final = web.AppKey[Callable[[], tuple[bytes, ...]]]("secrets")
"""Returns the secrets that are good now."""
