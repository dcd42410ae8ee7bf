"""Records of runs that are on their way to Kafka, each once."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sluice_contracts.ids import RunKey

__all__ = ["Flight", "Flights"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Flight(Generic[T]):
    """A record on its way; all who ask for the same wait for it together."""

    fingerprint: str
    landed: asyncio.Task[T]


class Flights(Generic[T]):
    """The flights by run."""

    def __init__(self) -> None:
        self._flights: dict[RunKey, Flight[T]] = {}
        self._joiners: Counter[RunKey] = Counter()

    def joining(self, key: RunKey) -> AbstractContextManager[None]:
        """Keep a flight of this run until the body is through, although it lands meanwhile.

        The body looks the run up, and may have done so before the record landed: without the flight
        it would send another one.
        """
        return _Joining(self, key)

    def join(self, key: RunKey) -> None:
        """Begin the body of `joining`."""
        self._joiners[key] += 1

    def leave(self, key: RunKey) -> None:
        """End the body of `joining`."""
        self._joiners[key] -= 1
        if not self._joiners[key]:
            del self._joiners[key]
        self._end(key)

    def get(self, key: RunKey) -> Flight[T] | None:
        """Return the flight of the run; None if there is none, or if it has failed."""
        flight = self._flights.get(key)
        return None if flight is None or _has_failed(flight.landed) else flight

    def start(self, key: RunKey, *, fingerprint: str, work: Coroutine[Any, Any, T]) -> Flight[T]:
        """Do the work, which writes the record, in a task of its own."""
        # The client may go away, the record is on its way all the same.
        landed = asyncio.create_task(work, name=f"send {key}")
        flight = self._flights[key] = Flight(fingerprint=fingerprint, landed=landed)
        landed.add_done_callback(lambda _: self._end(key))
        # The client may be gone; a failure that nobody waits for is in the log.
        landed.add_done_callback(lambda task: task.cancelled() or task.exception())
        return flight

    async def drain(self) -> None:
        """Wait for all that is on its way."""
        while flying := {each.landed for each in self._flights.values() if not each.landed.done()}:
            await asyncio.wait(flying)

    def _end(self, key: RunKey) -> None:
        flight = self._flights.get(key)
        if flight is not None and flight.landed.done() and not self._joiners[key]:
            del self._flights[key]


@dataclass(frozen=True, slots=True)
class _Joining:
    # A class, because a generator takes three times as long.
    flights: Flights[Any]
    key: RunKey

    def __enter__(self) -> None:
        self.flights.join(self.key)

    def __exit__(self, *_: object) -> None:
        self.flights.leave(self.key)


def _has_failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
