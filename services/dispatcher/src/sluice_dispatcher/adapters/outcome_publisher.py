"""What the dispatcher writes to Kafka."""

from datetime import timedelta

from sluice_contracts.dead_letters import encode_dead_letter
from sluice_contracts.ids import RunKey
from sluice_contracts.problems import Problem
from sluice_contracts.records import IncomingRecord
from sluice_contracts.status import RefusalNotice
from sluice_contracts.status_codec import PublishedEvent, encode_refusal, encode_status
from sluice_contracts.topics import TopicNames
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.producer import Producer

__all__ = ["KafkaReports"]

_SOURCE = "/sluice/dispatcher"


class KafkaReports:
    """Writes outcomes, refusals and dead letters, each acknowledged before it counts."""

    def __init__(self, producer: Producer, *, topics: TopicNames, timeout: timedelta) -> None:
        self._producer = producer
        self._topics = topics
        self._timeout = timeout

    async def outcome(self, published: PublishedEvent) -> None:
        """See `Reports.outcome`: status first, for results is what the ledger trusts."""
        record = encode_status(published, source=_SOURCE)
        for topic in (self._topics.status, self._topics.results):
            await self._producer.send(topic, record, deadline=self._deadline("outcome"))

    async def refusal(self, notice: RefusalNotice, *, traceparent: str | None) -> None:
        """See `Reports.refusal`."""
        record = encode_refusal(notice, source=_SOURCE, traceparent=traceparent)
        await self._producer.send(self._topics.status, record, deadline=self._deadline("refusal"))

    async def dead_letter(
        self, record: IncomingRecord, problem: Problem, *, key: RunKey | None
    ) -> None:
        """See `Reports.dead_letter`."""
        letter = encode_dead_letter(record, problem, key=key)
        await self._producer.send(self._topics.dlq, letter, deadline=self._deadline("dead letter"))

    def _deadline(self, what: str) -> Deadline:
        return Deadline(what, self._timeout)
