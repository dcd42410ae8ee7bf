"""How late the event loop is: what blocks it keeps everybody waiting, probes and Kafka too."""

import asyncio

from prometheus_client import CollectorRegistry, Histogram

__all__ = ["LoopDelay"]

_EVERY_S = 0.1
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class LoopDelay:
    """Measures the delay, and shows it as a metric."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._delay = Histogram(
            "sluice_event_loop_delay_seconds",
            "How late the event loop came to what was due; beyond 0.1 s, something blocks it.",
            buckets=_BUCKETS,
            registry=registry,
        )

    async def run(self) -> None:
        """Ask ten times a second to be called, and note how late that was: an eternal task."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _EVERY_S
            await asyncio.sleep(_EVERY_S)
            self._delay.observe(max(0.0, loop.time() - due))
