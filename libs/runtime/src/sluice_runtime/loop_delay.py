"""The event loop's delay: code that blocks the loop delays everything, probes and Kafka too."""

import asyncio

from prometheus_client import CollectorRegistry, Histogram

__all__ = ["LoopDelay"]

_EVERY_S = 0.1
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class LoopDelay:
    """Measures the delay and exports it as a metric."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._delay = Histogram(
            "sluice_event_loop_delay_seconds",
            "Delay of the event loop's timers; above 0.1 s, something blocks the loop.",
            buckets=_BUCKETS,
            registry=registry,
        )

    async def run(self) -> None:
        """Set a timer ten times a second and record its delay, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _EVERY_S
            await asyncio.sleep(_EVERY_S)
            self._delay.observe(max(0.0, loop.time() - due))
