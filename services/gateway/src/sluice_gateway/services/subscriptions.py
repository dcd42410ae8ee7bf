"""Who waits for news of which run."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

__all__ = ["RunSubscriptions", "Subscription"]


class Subscription:
    """Remembers that there was news since it was last looked at."""

    def __init__(self) -> None:
        self._news = asyncio.Event()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the process is stopping, so that no more changes are announced."""
        return self._closed

    def looked(self) -> None:
        """Forget the news so far; call this before reading, so that none is lost."""
        self._news.clear()

    async def wait(self, *, within: float) -> bool:
        """Wait for a change for `within` seconds; return whether there was one."""
        try:
            async with asyncio.timeout(within):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    def notify(self) -> None:
        """Say that there is news."""
        self._news.set()

    def close(self) -> None:
        """Say that there will be no more news."""
        self._closed = True
        self._news.set()


class RunSubscriptions:
    """Wakes those who follow a run; topics are named by the text of the run's Kafka key."""

    def __init__(self) -> None:
        self._subscriptions: dict[str, set[Subscription]] = {}
        self._closed = False

    @property
    def followed(self) -> int:
        """Give the number of runs that somebody follows."""
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

    def publish(self, keys: Iterable[str]) -> None:
        """Wake all who wait for one of these runs."""
        for key in keys:
            for subscription in self._subscriptions.get(key, ()):
                subscription.notify()

    def close(self) -> None:
        """Wake everybody for the last time."""
        self._closed = True
        for subscribers in self._subscriptions.values():
            for subscription in subscribers:
                subscription.close()
