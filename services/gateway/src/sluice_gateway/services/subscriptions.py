"""Subscriptions to changes of runs."""

import asyncio
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

__all__ = ["RunSubscriptions", "Subscription"]


class Subscription:
    """Remembers whether there was a change since the last look."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the process is stopping, so that no more changes are announced."""
        return self._closed

    def looked(self) -> None:
        """Forget the changes so far; to be called before reading, so that none is missed."""
        self._changed.clear()

    async def wait(self, *, within: float) -> bool:
        """Wait for a change for `within` seconds; return whether there was one."""
        try:
            async with asyncio.timeout(within):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def notify(self) -> None:
        """Announce a change."""
        self._changed.set()

    def close(self) -> None:
        """Announce that no more changes follow."""
        self._closed = True
        self._changed.set()


class RunSubscriptions:
    """Notifies the followers of runs; a run is named by the text of its Kafka key."""

    def __init__(self) -> None:
        self._subscriptions: dict[str, set[Subscription]] = {}
        self._to_all: set[Subscription] = set()
        self._closed = False

    @property
    def followed(self) -> int:
        """The number of runs with followers."""
        return len(self._subscriptions)

    @contextmanager
    def subscribe(self, key: str) -> Iterator[Subscription]:
        """Subscribe to changes of one run while the body runs."""
        subscription = Subscription()
        if self._closed:
            subscription.close()
        subscribers = self._subscriptions.setdefault(key, set())
        subscribers.add(subscription)
        try:
            yield subscription
        finally:
            subscribers.discard(subscription)
            if not subscribers and self._subscriptions.get(key) is subscribers:
                del self._subscriptions[key]

    @contextmanager
    def subscribe_all(self) -> Iterator[Subscription]:
        """Subscribe to changes of all runs while the body runs."""
        subscription = Subscription()
        if self._closed:
            subscription.close()
        self._to_all.add(subscription)
        try:
            yield subscription
        finally:
            self._to_all.discard(subscription)

    def publish(self, keys: Collection[str]) -> None:
        """Notify the followers of these runs."""
        for key in keys:
            for subscription in self._subscriptions.get(key, ()):
                subscription.notify()
        if keys:
            for subscription in self._to_all:
                subscription.notify()

    def publish_where(self, changed: Callable[[str], bool]) -> None:
        """Notify the followers of the runs whose keys may have `changed`, and those of all runs."""
        for key, subscriptions in self._subscriptions.items():
            if changed(key):
                for subscription in subscriptions:
                    subscription.notify()
        for subscription in self._to_all:
            subscription.notify()

    def close(self) -> None:
        """Notify all followers for the last time."""
        self._closed = True
        for subscribers in self._subscriptions.values():
            for subscription in subscribers:
                subscription.close()
        for subscription in self._to_all:
            subscription.close()
