"""A step that blocks the event loop shows in a metric."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from sluice_runtime.loop_delay import LoopDelay


class Clock:
    """A loop's clock that a blocking step advances."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._time = loop.time
        self.blocked_for_test = 0.0

    def __call__(self) -> float:
        return self._time() + self.blocked_for_test


@pytest.mark.looptime
async def test_a_blocked_loop_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, registry = asyncio.get_running_loop(), CollectorRegistry()
    clock = Clock(loop)
    monkeypatch.setattr(loop, "time", clock)
    measuring = asyncio.create_task(LoopDelay(registry).run())

    def observed(**bucket: str) -> float | None:
        name = "sluice_event_loop_delay_seconds_" + ("bucket" if bucket else "count")
        return registry.get_sample_value(name, bucket)

    async def until_observed(times: int) -> None:
        while (observed() or 0) < times:
            await asyncio.wait({measuring}, timeout=0.1)

    await until_observed(3)
    assert observed(le="0.005") == 3
    clock.blocked_for_test = 2.0
    await until_observed(4)
    assert observed(le="1.0") == 3
    assert observed(le="2.5") == 4
    measuring.cancel()
