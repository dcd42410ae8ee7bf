"""Slow creates: a client with a timeout, and an API server that honours `timeout`.

It is a fake like `FakeWorkflows`, with delays for each part of a create, in virtual seconds.
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
    """The seconds that a create takes to the API server, in admission and in etcd.

    For `stopped` seconds before, the sender is stopped, like a frozen process.
    """

    stopped: float = 0.0
    travel: float = 0.0
    admission: float = 0.0
    apply: float = 0.0


class SlowWorkflows(FakeWorkflows):
    """A `FakeWorkflows` with slow creates on demand.

    Args:
        create_timeout: time limit of the client, and of the API server from the request's arrival.
    """

    def __init__(self, *, create_timeout: timedelta, namespace: str = "argo") -> None:
        super().__init__(namespace=namespace)
        self._create_timeout = create_timeout.total_seconds()
        self._ways: deque[Way] = deque()
        self._landings: set[asyncio.Task[Json]] = set()
        self.uids_for_test: list[str] = []
        """The uids of all objects that were ever created."""

    async def create(self, manifest: Json) -> Json:
        """See `WorkflowsApi.create`; a cancelled caller does not stop the create."""
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
        """Delay the next creates in these ways."""
        self._ways.extend(ways)

    async def landed_for_test(self) -> None:
        """Wait until all creates so far have succeeded or failed."""
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
