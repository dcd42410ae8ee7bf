"""A stateful fake of one Lease on the API server, with the interface of `LeaseApi`."""

import asyncio
from collections import deque
from copy import deepcopy
from typing import Any

from sluice_runtime.kubernetes.errors import (
    AlreadyExistsError,
    ApiError,
    ApiUnavailableError,
    ConflictError,
    NotFoundError,
)

Json = dict[str, Any]


class FakeLease:
    """A Lease in memory, which may not exist yet."""

    def __init__(self) -> None:
        self._lease: Json | None = None
        self._version = 100
        self._failures: deque[Exception] = deque()
        self._lost_answers = 0
        self._away = False
        self._conflict = False

    async def read(self) -> Json:
        """See `LeaseApi.read`."""
        await self._enter()
        return deepcopy(self._existing())

    async def create(self, spec: Json) -> Json:
        """See `LeaseApi.create`."""
        await self._enter()
        if self._lease is not None:
            raise AlreadyExistsError("the Lease: 409", status=409, reason="AlreadyExists")
        return self._answer(self._write({"metadata": {"name": "turns"}, "spec": deepcopy(spec)}))

    async def replace(self, lease: Json) -> Json:
        """See `LeaseApi.replace`."""
        await self._enter()
        if self._conflict:
            self._conflict = False
            self.write_for_test()
        before = self._existing()["metadata"]["resourceVersion"]
        if lease["metadata"]["resourceVersion"] != before:
            raise ConflictError("the Lease: 409", status=409, reason="Conflict")
        return self._answer(self._write(deepcopy(lease)))

    def _existing(self) -> Json:
        if self._lease is None:
            raise NotFoundError("the Lease: 404", status=404, reason="NotFound")
        return self._lease

    def _write(self, lease: Json) -> Json:
        self._version += 1
        lease["metadata"]["resourceVersion"] = str(self._version)
        self._lease = lease
        return lease

    async def _enter(self) -> None:
        await asyncio.sleep(0)
        if self._away:
            raise ApiUnavailableError("the Lease: no answer")
        if self._failures:
            raise self._failures.popleft()

    def _answer(self, lease: Json) -> Json:
        if self._lost_answers:
            self._lost_answers -= 1
            raise ApiUnavailableError("the Lease: the answer was lost")
        return deepcopy(lease)

    # Only for tests.

    @property
    def spec_for_test(self) -> Json:
        """The spec of the Lease."""
        spec: Json = self._existing()["spec"]
        return spec

    def fail_for_test(self, *errors: ApiError | ApiUnavailableError) -> None:
        """Fail the next requests with these errors, without any effect."""
        self._failures.extend(errors)

    def lose_answers_for_test(self, *, times: int) -> None:
        """Apply the next writes, and lose their responses."""
        self._lost_answers += times

    def go_away_for_test(self) -> None:
        """Fail all requests from now on."""
        self._away = True

    def come_back_for_test(self) -> None:
        """Serve requests again."""
        self._away = False

    def conflict_for_test(self) -> None:
        """Write the Lease between the next read and the replacement."""
        self._conflict = True

    def delete_for_test(self) -> None:
        """Delete the Lease."""
        self._lease = None

    def write_for_test(self, **spec: Any) -> None:
        """Write into the Lease as another process."""
        lease = self._lease or {"metadata": {"name": "turns"}, "spec": {}}
        self._write({**lease, "spec": {**lease["spec"], **spec}})
