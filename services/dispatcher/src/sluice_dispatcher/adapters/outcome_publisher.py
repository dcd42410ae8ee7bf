"""The dispatcher's outcomes, refusals and dead letters on Kafka."""

from datetime import timedelta

from sluice_contracts.dead_letters import encode_dead_letter
from sluice_contracts.ids import RunKey
from sluice_contracts.notices import QueueNotice, RefusalNotice
from sluice_contracts.problems import Problem
from sluice_contracts.records import IncomingRecord, OutgoingRecord
from sluice_contracts.status_codec import PublishedEvent, encode_notice, encode_status
from sluice_contracts.topic_sets import TopicSets
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.outcome_writer import write_status_first
from sluice_runtime.kafka.producer import Producer

__all__ = ["KafkaOutcomePublisher"]

_SOURCE = "/sluice/dispatcher"


class KafkaOutcomePublisher:
    """The real `OutcomePublisher`; `timeout` is for each record.

    What is said of a run goes to the topics of its tenant, and what is said of a record to those
    of the set on which it stands.
    """

    def __init__(self, producer: Producer, *, topics: TopicSets, timeout: timedelta) -> None:
        self._producer = producer
        self._topics = topics
        self._timeout = timeout

    async def publish_outcome(self, published: PublishedEvent) -> None:
        """See `OutcomePublisher.publish_outcome`."""
        record = encode_status(published, source=_SOURCE)
        topics = self._topics.of_tenant(published.event.tenant).topics
        await write_status_first(
            status=lambda: self._send(topics.status, record),
            results=lambda: self._send(topics.results, record),
        )

    async def publish_result(self, published: PublishedEvent) -> None:
        """See `OutcomePublisher.publish_result`."""
        topic = self._topics.of_tenant(published.event.tenant).topics.results
        await self._send(topic, encode_status(published, source=_SOURCE))

    async def publish_status(self, published: PublishedEvent) -> None:
        """See `OutcomePublisher.publish_status`."""
        topic = self._topics.of_tenant(published.event.tenant).topics.status
        await self._send(topic, encode_status(published, source=_SOURCE))

    async def publish_queued(self, notice: QueueNotice, *, traceparent: str | None) -> None:
        """See `OutcomePublisher.publish_queued`."""
        record = encode_notice(notice, source=_SOURCE, traceparent=traceparent)
        await self._send(self._topics.of_tenant(notice.tenant).topics.status, record)

    async def publish_refusal(
        self, notice: RefusalNotice, *, refused: IncomingRecord, traceparent: str | None
    ) -> None:
        """See `OutcomePublisher.publish_refusal`."""
        record = encode_notice(notice, source=_SOURCE, traceparent=traceparent)
        await self._send(self._topics.of_topic(refused.position.topic).topics.status, record)

    async def publish_dead_letter(
        self, record: IncomingRecord, problem: Problem, *, key: RunKey | None
    ) -> None:
        """See `OutcomePublisher.publish_dead_letter`."""
        topic = self._topics.of_topic(record.position.topic).topics.dlq
        await self._send(topic, encode_dead_letter(record, problem, key=key))

    async def _send(self, topic: str, record: OutgoingRecord) -> None:
        deadline = Deadline(f"write to {topic}", self._timeout)
        await self._producer.send(topic, record, deadline=deadline)
