"""The last changes, for watchers to replay and for pages of one list to stay consistent."""

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sluice_engine.store.errors import expired
from sluice_engine.store.resources import Key

__all__ = ["Change", "History", "Version"]


@dataclass(frozen=True, slots=True)
class Version:
    """An object at one resource version."""

    labels: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Change:
    """One write. `before` is None for a creation; a deletion keeps the object's last state."""

    version: int
    key: Key
    before: Version | None
    after: Version
    deleted: bool = False


class History:
    """A bounded queue of changes; the oldest are dropped.

    Args:
        version: the resource version at the start; nothing before it can be replayed.
        max_changes: how many changes are kept.
        max_bytes: how many bytes of bodies are kept.
    """

    def __init__(self, version: int, *, max_changes: int, max_bytes: int) -> None:
        self._changes: deque[Change] = deque()
        self._bytes = 0
        self._max_changes = max_changes
        self._max_bytes = max_bytes
        self.oldest = version
        self._changed = asyncio.Event()

    def append(self, change: Change) -> None:
        """Add a change and wake all waiters."""
        self._changes.append(change)
        self._bytes += len(change.after.body)
        while len(self._changes) > self._max_changes or (
            self._bytes > self._max_bytes and len(self._changes) > 1
        ):
            gone = self._changes.popleft()
            self._bytes -= len(gone.after.body)
            self.oldest = gone.version
        self.wake()

    def wake(self) -> None:
        """Wake all waiters without a change."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def compact(self) -> None:
        """Drop everything, as etcd does with old revisions."""
        if self._changes:
            self.oldest = self._changes[-1].version
        self._changes.clear()
        self._bytes = 0

    def next_change(self) -> asyncio.Event:
        """Return an event that is set with the next change."""
        return self._changed

    def after(self, version: int) -> Iterator[Change]:
        """Return the changes after a resource version, oldest first.

        Raises:
            ApiError: 410, some of them were dropped.
        """
        if version < self.oldest:
            raise expired(version, self.oldest)
        newer: deque[Change] = deque()
        for change in reversed(self._changes):
            if change.version <= version:
                break
            newer.appendleft(change)
        return iter(newer)

    def states_at(self, version: int) -> dict[Key, Version | None]:
        """Return each object that changed since, as it was at that version; None: not yet there.

        Raises:
            ApiError: 410, the history does not reach back so far.
        """
        states: dict[Key, Version | None] = {}
        for change in self.after(version):
            states.setdefault(change.key, change.before)
        return states
