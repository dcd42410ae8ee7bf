"""The requests that this gateway has written, until the view's store has them.

The projection reads each of them from its topic some milliseconds later, and writes many at a time.
So they are written apart only if a client reads the view before. That saves each request a
transaction of its own.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from sluice_contracts.ids import RunKey
from sluice_contracts.records import IncomingRecord
from sluice_gateway.domain.run_changes import RequestChange

__all__ = ["WrittenRequests"]

_MOST: Final = 4096
_MOST_CHARACTERS: Final = 4 * 1024 * 1024

_Place = tuple[str, int, int]


class WrittenRequests:
    """Requests in the order in which Kafka acknowledged them, by topic, partition and offset.

    The oldest ones are dropped when there are too many: a client that asks for such a run waits
    until the projection has read it, as for a run of another gateway.
    """

    def __init__(self, *, most: int = _MOST, most_characters: int = _MOST_CHARACTERS) -> None:
        self._most = most
        self._most_characters = most_characters
        self._characters = 0
        # The first entry of a plain dict takes ever longer to find.
        self._changes: OrderedDict[_Place, RequestChange] = OrderedDict()
        self._places: dict[RunKey, _Place] = {}
        self._writing = asyncio.Lock()

    def __contains__(self, key: RunKey) -> bool:
        """Whether the store may not have a request for this run yet."""
        return key in self._places

    def add(self, topic: str, partition: int, change: RequestChange) -> None:
        """Hold a request that Kafka has acknowledged on this partition."""
        place = topic, partition, change.offset
        self._changes[place] = change
        self._places[change.key] = place
        self._characters += len(change.parameters or "")
        while len(self._changes) > self._most or self._characters > self._most_characters:
            self._drop(next(iter(self._changes)))

    def of(self, record: IncomingRecord) -> RequestChange | None:
        """Return what the record says, if it is one of these; it need not be decoded then."""
        at = record.position
        change = self._changes.get((at.topic, at.partition, at.offset))
        if change is None or change.accepted_ms != record.timestamp_ms:
            return None
        return change if record.key == str(change.key).encode() else None

    def drop_projected(self, offsets: Mapping[tuple[str, int], int]) -> None:
        """Drop what the store has: of each topic and partition the records before an offset."""
        projected = [
            place for place in self._changes if place[2] < offsets.get((place[0], place[1]), 0)
        ]
        for place in projected:
            self._drop(place)

    def clear(self) -> None:
        """Drop all: the topics are not those that they were written to."""
        self._changes.clear()
        self._places.clear()
        self._characters = 0

    async def write(self, store: Callable[[Sequence[RequestChange]], Awaitable[None]]) -> None:
        """Write all by `store`, and drop it; return once all that was here at the call is written.

        Raises:
            Exception: `store` failed; everything is still here.
        """
        async with self._writing:
            written = dict(self._changes)
            if not written:
                return
            await store(list(written.values()))
            for place in written:
                if place in self._changes:
                    self._drop(place)

    def _drop(self, place: _Place) -> None:
        change = self._changes.pop(place)
        self._characters -= len(change.parameters or "")
        if self._places.get(change.key) == place:
            del self._places[change.key]
