"""Whose turn it is to watch, where several could.

Nothing rests on it but thrift: outcomes are claimed one by one, and other states may be told
twice. So whoever has its turn and cannot renew the Lease goes on, and ends only when it sees
another's name there; and who could not do the work neither takes the Lease nor renews it, so that
another may.
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
from sluice_status_watcher.settings import LeaseSettings

__all__ = ["AlwaysLeader", "HealthCheck", "Leadership", "Lease", "LeaseElector", "LeaseLostError"]

_log = structlog.get_logger(__name__)

Json = dict[str, Any]
HealthCheck = Callable[[], str | None]
"""Says why the work could not be done here; None if it could."""


class Lease(Protocol):
    """The Lease on the API server, as `sluice_runtime.kubernetes.leases.LeaseApi`."""

    async def read(self) -> Json:
        """Give it; NotFoundError if there is none."""

    async def create(self, spec: Json) -> Json:
        """Make it; AlreadyExistsError if there is one."""

    async def replace(self, lease: Json) -> Json:
        """Write it; ConflictError if it is not the one that was read."""


class LeaseLostError(Exception):
    """Somebody else has taken the turn: this process was not heard for too long."""


class Leadership(Protocol):
    """This process's turn to watch."""

    @property
    def is_leader(self) -> bool:
        """Whether it is this process's turn."""

    async def wait(self) -> None:
        """Return once it is this process's turn."""

    def unknown(self) -> str | None:
        """Say why nobody here knows whose turn it is; None if that is known."""

    async def run(self, *, unhealthy: HealthCheck) -> None:
        """Acquire and renew leadership for as long as nothing is `unhealthy`."""

    async def release(self) -> None:
        """Let the next one begin."""


class AlwaysLeader:
    """The turn of one that shares it with nobody."""

    is_leader = True

    async def wait(self) -> None:
        """See `Leadership.wait`."""

    def unknown(self) -> str | None:
        """See `Leadership.unknown`."""
        return None

    async def run(self, *, unhealthy: HealthCheck) -> None:  # noqa: ARG002 - there is nobody else
        """See `Leadership.keep`."""
        await asyncio.get_running_loop().create_future()

    async def release(self) -> None:
        """See `Leadership.release`."""


class LeaseElector:
    """A turn that lasts as long as a Lease names this process.

    Args:
        lease: the Lease.
        settings: how long it lasts, and how often it is looked at.
        holder: a name that no other process has.
        now: gives the time to write into it; nothing is concluded from what others have written.
        uniform: gives the pause between two looks.
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
        self._failure: str | None = "the Lease is not read yet"
        self._begun = asyncio.Event()

    @property
    def is_leader(self) -> bool:
        """See `Leadership.is_leader`."""
        return self._begun.is_set()

    async def wait(self) -> None:
        """See `Leadership.wait`."""
        await self._begun.wait()

    def unknown(self) -> str | None:
        """See `Leadership.unknown`."""
        return None if self.is_leader else self._failure

    async def run(self, *, unhealthy: HealthCheck) -> None:
        """See `Leadership.keep`: the Lease is taken when it is free, and then renewed.

        Raises:
            LeaseLostError: another has it, though it was ours.
        """
        while True:
            try:
                holder = await self._look(unhealthy())
            except (AlreadyExistsError, ConflictError):
                pass  # Somebody was quicker: the next look tells who.
            except (ApiError, ApiUnavailableError) as e:
                self._failure = str(e)
                _log.warning("cannot tell whose turn it is", error=str(e), ours=self.is_leader)
            else:
                self._failure = None
                self._judge(holder)
            every = self._settings.renew_every.total_seconds()
            await asyncio.sleep(self._uniform(every / 2, every))

    async def release(self) -> None:
        """See `Leadership.release`; if it fails, the next one begins when the Lease has run out."""
        self._begun.clear()
        try:
            try:
                await self._let_go()
            except ConflictError:
                # By the last of our own looks, perhaps, which was cut off.
                await self._let_go()
        except NotFoundError:
            return
        except (ApiError, ApiUnavailableError) as e:
            _log.warning("the Lease could not be given up", error=str(e))

    async def _let_go(self) -> None:
        lease = await self._lease.read()
        if holder_of(lease) == self._holder:
            await self._lease.replace({**lease, "spec": released(lease)})

    def _judge(self, holder: str | None) -> None:
        if holder == self._holder:
            if not self.is_leader:
                _log.info("it is our turn", holder=holder)
                self._begun.set()
        elif holder is not None and self.is_leader:
            raise LeaseLostError(f"{holder} has taken the Lease.")

    async def _look(self, unhealthy: str | None) -> str | None:
        """Take or renew the Lease if that may be, and give who holds it then."""
        try:
            lease = await self._lease.read()
        except NotFoundError:
            if unhealthy is not None:
                return None
            await self._lease.create(self._ours())
            return self._holder
        holder = holder_of(lease)
        if unhealthy is not None:
            if self.is_leader:
                _log.warning("the Lease is not renewed: the work cannot be done", why=unhealthy)
            return holder
        if holder not in {None, self._holder} and not self._has_run_out(lease):
            return holder
        await self._lease.replace({**lease, "spec": self._ours(before=lease)})
        return self._holder

    def _ours(self, *, before: Json | None = None) -> Json:
        return renewed(
            self._holder, now=self._now(), duration=self._settings.duration, before=before
        )

    def _has_run_out(self, lease: Json) -> bool:
        """Tell whether its holder has not renewed it for its whole length, by our clock alone."""
        now = asyncio.get_running_loop().time()
        renewal = renewal_of(lease)
        if self._seen is None or self._seen[0] != renewal:
            self._seen = renewal, now
        return now - self._seen[1] >= self._settings.duration.total_seconds()
