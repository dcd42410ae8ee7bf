"""Elects the one status-watcher that works, where several run.

The Lease only avoids duplicate work; correctness comes from claims. So a leader that cannot renew
the Lease keeps working, and exits only once it sees another holder. A process that could not do
the work neither acquires the Lease nor renews it, so that another one can.
"""

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog

from sluice_runtime.kubernetes.errors import (
    AlreadyExistsError,
    ApiError,
    ApiUnavailableError,
    ConflictError,
    NotFoundError,
)
from sluice_status_watcher.domain.lease_spec import (
    Renewal,
    holder_of,
    released,
    renewal_of,
    renewed,
)
from sluice_status_watcher.ports import Lease
from sluice_status_watcher.settings import LeaseSettings

__all__ = ["AlwaysLeader", "HealthCheck", "Leadership", "LeaseElector", "LeaseLostError"]

_log = structlog.get_logger(__name__)

Json = dict[str, Any]
HealthCheck = Callable[[], str | None]
"""Returns why this process could not do the work; None if it could."""


class LeaseLostError(Exception):
    """Another process has become leader, because this one has not renewed for too long."""


class Leadership(Protocol):
    """Whether this process is the leader."""

    @property
    def is_leader(self) -> bool:
        """Whether this process is the leader."""

    async def wait(self) -> None:
        """Return once this process is the leader."""

    def unknown(self) -> str | None:
        """Return why this process does not know who the leader is; None if it does."""

    async def run(self, *, unhealthy: HealthCheck) -> None:
        """Become leader, and remain so for as long as nothing is `unhealthy`; does not return."""

    async def release(self) -> None:
        """Let another process become leader at once."""


class AlwaysLeader:
    """Leadership without an election."""

    is_leader = True

    async def wait(self) -> None:
        """See `Leadership.wait`."""

    def unknown(self) -> str | None:
        """See `Leadership.unknown`."""
        return None

    async def run(self, *, unhealthy: HealthCheck) -> None:  # noqa: ARG002 - there is no other
        """See `Leadership.run`."""
        await asyncio.get_running_loop().create_future()

    async def release(self) -> None:
        """See `Leadership.release`."""


class LeaseElector:
    """Leadership for as long as a Lease names this process.

    Args:
        lease: the Lease.
        settings: its duration, and the interval of renewals.
        holder: the name of this process; no other process may have it.
        now: dates renewals. Times that others have written are not interpreted.
        uniform: returns the pause between two attempts, from its bounds.
    """

    def __init__(
        self,
        lease: Lease,
        settings: LeaseSettings,
        *,
        holder: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._lease = lease
        self._settings = settings
        self._holder = holder
        self._now = now
        self._uniform = uniform
        self._seen: tuple[Renewal, float] | None = None
        self._error: str | None = "the Lease is not read yet"
        self._leading = asyncio.Event()

    @property
    def is_leader(self) -> bool:
        """See `Leadership.is_leader`."""
        return self._leading.is_set()

    async def wait(self) -> None:
        """See `Leadership.wait`."""
        await self._leading.wait()

    def unknown(self) -> str | None:
        """See `Leadership.unknown`."""
        return None if self.is_leader else self._error

    async def run(self, *, unhealthy: HealthCheck) -> None:
        """See `Leadership.run`: acquire the Lease when it is free, and renew it.

        Raises:
            LeaseLostError: another process has acquired the Lease of this one.
        """
        while True:
            try:
                holder = await self._acquire_or_renew(unhealthy())
            except (AlreadyExistsError, ConflictError):
                pass  # Another process was faster: the next attempt shows which.
            except (ApiError, ApiUnavailableError) as e:
                self._error = str(e)
                _log.warning("Lease not readable", error=str(e), leader=self.is_leader)
            else:
                self._error = None
                self._compare(holder)
            every = self._settings.renew_every.total_seconds()
            await asyncio.sleep(self._uniform(every / 2, every))

    async def release(self) -> None:
        """See `Leadership.release`; if it fails, the Lease expires."""
        self._leading.clear()
        try:
            try:
                await self._release()
            except ConflictError:
                # A renewal of this process may have been cut off on its way.
                await self._release()
        except NotFoundError:
            return
        except (ApiError, ApiUnavailableError) as e:
            _log.warning("Lease not released", error=str(e))

    async def _release(self) -> None:
        lease = await self._lease.read()
        if holder_of(lease) == self._holder:
            await self._lease.replace({**lease, "spec": released(lease)})

    def _compare(self, holder: str | None) -> None:
        if holder == self._holder:
            if not self.is_leader:
                _log.info("became leader", holder=holder)
                self._leading.set()
        elif holder is not None and self.is_leader:
            raise LeaseLostError(f"{holder} has acquired the Lease.")

    async def _acquire_or_renew(self, unhealthy: str | None) -> str | None:
        """Acquire or renew the Lease if that is allowed; return its holder after that."""
        try:
            lease = await self._lease.read()
        except NotFoundError:
            if unhealthy is not None:
                return None
            await self._lease.create(self._spec())
            return self._holder
        holder = holder_of(lease)
        if unhealthy is not None:
            if self.is_leader:
                _log.warning("Lease not renewed: this process is unhealthy", error=unhealthy)
            return holder
        if holder not in {None, self._holder} and not self._has_expired(lease):
            return holder
        await self._lease.replace({**lease, "spec": self._spec(before=lease)})
        return self._holder

    def _spec(self, *, before: Json | None = None) -> Json:
        return renewed(
            self._holder, now=self._now(), duration=self._settings.duration, before=before
        )

    def _has_expired(self, lease: Json) -> bool:
        """Return whether it was not renewed for its whole duration, by our clock alone."""
        now = asyncio.get_running_loop().time()
        renewal = renewal_of(lease)
        if self._seen is None or self._seen[0] != renewal:
            self._seen = renewal, now
        return now - self._seen[1] >= self._settings.duration.total_seconds()
