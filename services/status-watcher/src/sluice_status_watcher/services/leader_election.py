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
    given_up,
    held_by,
    holder_of,
    renewal_of,
)
from sluice_status_watcher.settings import LeaseSettings

__all__ = ["Alone", "Lease", "LeaseLostError", "LeasedTurn", "Turn", "Unfit"]

_log = structlog.get_logger(__name__)

Json = dict[str, Any]
Unfit = Callable[[], str | None]
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


class Turn(Protocol):
    """This process's turn to watch."""

    @property
    def begun(self) -> bool:
        """Whether it is this process's turn."""

    async def wait(self) -> None:
        """Return once it is this process's turn."""

    def unknown(self) -> str | None:
        """Say why nobody here knows whose turn it is; None if that is known."""

    async def keep(self, *, unfit: Unfit) -> None:
        """See to it for ever that the turn comes, and stays for as long as nothing is `unfit`."""

    async def give_up(self) -> None:
        """Let the next one begin."""


class Alone:
    """The turn of one that shares it with nobody."""

    begun = True

    async def wait(self) -> None:
        """See `Turn.wait`."""

    def unknown(self) -> str | None:
        """See `Turn.unknown`."""
        return None

    async def keep(self, *, unfit: Unfit) -> None:  # noqa: ARG002 - there is nobody else
        """See `Turn.keep`."""
        await asyncio.get_running_loop().create_future()

    async def give_up(self) -> None:
        """See `Turn.give_up`."""


class LeasedTurn:
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
    def begun(self) -> bool:
        """See `Turn.begun`."""
        return self._begun.is_set()

    async def wait(self) -> None:
        """See `Turn.wait`."""
        await self._begun.wait()

    def unknown(self) -> str | None:
        """See `Turn.unknown`."""
        return None if self.begun else self._failure

    async def keep(self, *, unfit: Unfit) -> None:
        """See `Turn.keep`: the Lease is taken when it is free, and then renewed.

        Raises:
            LeaseLostError: another has it, though it was ours.
        """
        while True:
            try:
                holder = await self._look(unfit())
            except (AlreadyExistsError, ConflictError):
                pass  # Somebody was quicker: the next look tells who.
            except (ApiError, ApiUnavailableError) as e:
                self._failure = str(e)
                _log.warning("cannot tell whose turn it is", error=str(e), ours=self.begun)
            else:
                self._failure = None
                self._judge(holder)
            every = self._settings.renew_every.total_seconds()
            await asyncio.sleep(self._uniform(every / 2, every))

    async def give_up(self) -> None:
        """See `Turn.give_up`; if it fails, the next one begins when the Lease has run out."""
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
            await self._lease.replace({**lease, "spec": given_up(lease)})

    def _judge(self, holder: str | None) -> None:
        if holder == self._holder:
            if not self.begun:
                _log.info("it is our turn", holder=holder)
                self._begun.set()
        elif holder is not None and self.begun:
            raise LeaseLostError(f"{holder} has taken the Lease.")

    async def _look(self, unfit: str | None) -> str | None:
        """Take or renew the Lease if that may be, and give who holds it then."""
        try:
            lease = await self._lease.read()
        except NotFoundError:
            if unfit is not None:
                return None
            await self._lease.create(self._ours())
            return self._holder
        holder = holder_of(lease)
        if unfit is not None:
            if self.begun:
                _log.warning("the Lease is not renewed: the work cannot be done", why=unfit)
            return holder
        if holder not in {None, self._holder} and not self._has_run_out(lease):
            return holder
        await self._lease.replace({**lease, "spec": self._ours(before=lease)})
        return self._holder

    def _ours(self, *, before: Json | None = None) -> Json:
        return held_by(
            self._holder, now=self._now(), duration=self._settings.duration, before=before
        )

    def _has_run_out(self, lease: Json) -> bool:
        """Tell whether its holder has not renewed it for its whole length, by our clock alone."""
        now = asyncio.get_running_loop().time()
        renewal = renewal_of(lease)
        if self._seen is None or self._seen[0] != renewal:
            self._seen = renewal, now
        return now - self._seen[1] >= self._settings.duration.total_seconds()
