"""Creates that take their time: a client that gives up, and an API server that honours `timeout`.

A stand-in like `FakeWorkflows`; what it adds is the way of one create, in virtual seconds.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sluice_runtime.kubernetes.errors import ApiUnavailableError
from tests.support.fake_workflows import FakeWorkflows

__all__ = ["SlowWorkflows", "Way"]

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Way:
    """Seconds that a create takes: until the API server has it, in admission, and in etcd.

    `stopped` is how long its sender stands still before, as a stopped process does.
    """

    stopped: float = 0.0
    travel: float = 0.0
    admission: float = 0.0
    apply: float = 0.0


class SlowWorkflows(FakeWorkflows):
    """`FakeWorkflows` whose next creates can be made slow.

    Args:
        create_timeout: after which the client gives a create up, and the API server too, counted
            from when it received it.
    """

    def __init__(self, *, create_timeout: timedelta) -> None:
        super().__init__()
        self._create_timeout = create_timeout.total_seconds()
        self._ways: deque[Way] = deque()
        self._landings: set[asyncio.Task[Json]] = set()
        self.uids_for_test: list[str] = []
        """Of all objects that were ever created."""

    async def create(self, manifest: Json) -> Json:
        """See `WorkflowsApi.create`; whoever is cancelled meanwhile calls nothing back."""
        way = self._ways.popleft() if self._ways else Way()
        if way.stopped:
            await _pass(way.stopped)
        landing = asyncio.create_task(self._land(manifest, way))
        self._landings.add(landing)
        try:
            async with asyncio.timeout(self._create_timeout):
                return await asyncio.shield(landing)
        except TimeoutError as e:
            raise ApiUnavailableError("create: no answer in time") from e

    def slow_for_test(self, *ways: Way) -> None:
        """Let the next creates go these ways."""
        self._ways.extend(ways)

    async def landed_for_test(self) -> None:
        """Wait until every create so far has come to something."""
        await asyncio.gather(*self._landings, return_exceptions=True)

    async def _land(self, manifest: Json, way: Way) -> Json:
        if max(way.travel, way.admission) > self._create_timeout:
            raise ApiUnavailableError("create: 504 Timeout")
        await _pass(way.travel + way.admission + way.apply)
        created = await super().create(manifest)
        self.uids_for_test.append(created["metadata"]["uid"])
        return created


async def _pass(seconds: float) -> None:
    done = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, done.set)
    await done.wait()
