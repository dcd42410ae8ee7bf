"""A fake of the gateway's dead letter topics, which are those of a fake producer."""

from datetime import timedelta

from sluice_contracts.dead_letters import LetterDecision, encode_decision
from sluice_contracts.records import Appended, IncomingRecord, Position
from sluice_gateway.ports import (
    LetterGoneError,
    LettersUnavailableError,
    RequestNotAcknowledgedError,
)
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.errors import KafkaUnavailableError
from tests.support.fake_producer import FakeProducer

__all__ = ["FakeLetterTopics"]


class FakeLetterTopics:
    """Reads what the producer has written."""

    def __init__(self, producer: FakeProducer) -> None:
        self._producer = producer
        self._gone: set[Position] = set()
        self._away = False
        self._fails = False

    async def read(self, position: Position) -> IncomingRecord:
        """See `LetterTopics.read`."""
        if self._away:
            raise LettersUnavailableError("away")
        for record in self._producer.records_for_test(position.topic):
            if record.position == position and position not in self._gone:
                return record
        raise LetterGoneError(f"{position} is not kept")

    async def append_decision(self, letter: Position, decision: LetterDecision) -> Appended:
        """See `LetterTopics.append_decision`."""
        if self._fails:
            self._fails = False
            raise RequestNotAcknowledgedError("not acknowledged in time")
        record = encode_decision(decision, source="/sluice/gateway")
        deadline = Deadline("writing the decision", timedelta(seconds=10))
        try:
            return await self._producer.send(
                letter.topic, record, deadline=deadline, partition=letter.partition
            )
        except KafkaUnavailableError as e:
            raise RequestNotAcknowledgedError(str(e)) from e

    def expire_for_test(self, position: Position) -> None:
        """Delete a record."""
        self._gone.add(position)

    def fail_next_decision_for_test(self) -> None:
        """Do not write the next decision."""
        self._fails = True

    def away_for_test(self, *, away: bool) -> None:
        """Answer no read, or answer again."""
        self._away = away
