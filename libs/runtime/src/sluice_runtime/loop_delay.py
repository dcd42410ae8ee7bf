"""How late the event loop is: what blocks it keeps everybody waiting, probes and Kafka too."""

import asyncio

from prometheus_client import CollectorRegistry, Histogram

__all__ = ["measure_loop_delay"]

_EVERY_S = 0.1
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


async def measure_loop_delay(registry: CollectorRegistry) -> None:
    """Ask ten times a second to be called, and note how late that was: an eternal task."""
    delay = Histogram(
        "sluice_event_loop_delay_seconds",
        "How late the event loop came to what was due; more than 0.1 means that something blocks.",
        buckets=_BUCKETS,
        registry=registry,
    )
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _EVERY_S
        await asyncio.sleep(_EVERY_S)
        delay.observe(max(0.0, loop.time() - due))
