"""Which offset may be committed: the lowest one that is not finished, and none beyond it."""

from collections import deque

__all__ = ["OffsetTracker"]


class OffsetTracker:
    """Tracks the records of one partition from when they are read until they are finished.

    Offsets may have gaps: compaction and transactions leave them. They must be started in
    ascending order, as Kafka delivers them.
    """

    def __init__(self) -> None:
        self._order: deque[int] = deque()
        self._unfinished: set[int] = set()
        self._next: int | None = None

    def start(self, offset: int) -> None:
        """Track a record that is in flight from now on.

        Raises:
            ValueError: this offset or a higher one was started before.
        """
        last = self._order[-1] if self._order else (self._next or 0) - 1
        if offset <= last:
            raise ValueError(f"offset {offset} came after {last}")
        self._order.append(offset)
        self._unfinished.add(offset)

    def finish(self, offset: int) -> None:
        """Note that nothing is left to do for a record.

        Raises:
            ValueError: it was never started, or is finished already.
        """
        if offset not in self._unfinished:
            raise ValueError(f"offset {offset} is not in flight")
        self._unfinished.remove(offset)
        while self._order and self._order[0] not in self._unfinished:
            self._next = self._order.popleft() + 1

    @property
    def committable(self) -> int | None:
        """The offset to resume from after a crash; None if nothing has been finished."""
        return self._next

    @property
    def oldest_unfinished(self) -> int | None:
        """The offset that holds back the commit; None if nothing is unfinished."""
        return self._order[0] if self._order else None

    @property
    def span(self) -> int:
        """Records from the oldest unfinished one on, finished or not."""
        return len(self._order)
