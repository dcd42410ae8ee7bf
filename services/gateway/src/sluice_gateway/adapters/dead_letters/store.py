"""Projects the dead letter topics into memory."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from sluice_contracts.dead_letters import DeadLetter, InvalidDeadLetterError, decode_dead_letter
from sluice_contracts.records import IncomingRecord
from sluice_gateway.domain.dead_letters import DeadLetters
from sluice_runtime.projection.last_records import LastRecord

__all__ = ["DeadLetterStore"]

_log = structlog.get_logger(__name__)


class DeadLetterStore:
    """A `ProjectionStore` of some of the topics, which is read again at each start."""

    def __init__(self, letters: DeadLetters) -> None:
        self._letters = letters
        self._offsets: dict[tuple[str, int], int] = {}

    async def offsets(self) -> dict[tuple[str, int], int]:
        """See `ProjectionStore.offsets`."""
        return dict(self._offsets)

    async def last_records(self) -> dict[tuple[str, int], LastRecord]:
        """See `ProjectionStore.last_records`."""
        return {}

    async def prepare(self, records: Sequence[IncomingRecord]) -> Callable[[], Awaitable[None]]:
        """See `ProjectionStore.prepare`; what cannot be read is passed over."""

        async def apply() -> None:
            for record in records:
                self._apply(record)

        return apply

    def _apply(self, record: IncomingRecord) -> None:
        position = record.position
        self._offsets[position.topic, position.partition] = position.offset + 1
        try:
            found = decode_dead_letter(record)
        except InvalidDeadLetterError as e:
            _log.warning("invalid record on a dead letter topic", error=str(e))
        else:
            if isinstance(found, DeadLetter):
                self._letters.add(found)
            else:
                letter, decision = found
                self._letters.decide(letter, decision, offset=position.offset)
        self._letters.passed(position)

    async def expire(self, starts: Mapping[tuple[str, int], int]) -> None:
        """See `ProjectionStore.expire`."""
        self._letters.expire(starts)

    async def forget(self) -> None:
        """See `ProjectionStore.forget`."""
        for topic in {topic for topic, _ in self._offsets}:
            self._letters.forget(topic)
        self._offsets.clear()
