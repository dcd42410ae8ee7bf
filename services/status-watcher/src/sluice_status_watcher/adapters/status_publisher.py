"""The single door to the status and results topics."""

import asyncio
from datetime import timedelta

import structlog

from sluice_contracts.records import OutgoingRecord
from sluice_contracts.status import StatusEvent
from sluice_contracts.status_codec import PublishedEvent, encode_status
from sluice_contracts.topics import TopicNames
from sluice_runtime.backoff import Backoff
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.errors import KafkaUnavailableError, RecordRefusedError
from sluice_runtime.kafka.producer import Producer
from sluice_status_watcher.domain.workflow_state import Identity

__all__ = ["OUTCOME_PATIENCE", "SOURCE", "KafkaStatusPublisher", "UnwritableEventError", "bare"]

_log = structlog.get_logger(__name__)

SOURCE = "/sluice/status-watcher"
"""What the events' `ce_source` says."""

OUTCOME_PATIENCE = timedelta(seconds=5)
"""For an outcome to be acknowledged before its Workflow is looked at again."""

_KEPT_MESSAGE = 1024


class UnwritableEventError(ValueError):
    """Something in an event cannot be written as JSON or as a header."""


class KafkaStatusPublisher:
    """Tells the world, and comes back only when the world has acknowledged it.

    Args:
        producer: writes the records.
        topics: the names of the topics.
        send_timeout: for one attempt to write a record.
        backoff: pauses between attempts.
    """

    def __init__(
        self,
        producer: Producer,
        topics: TopicNames,
        *,
        send_timeout: timedelta,
        backoff: Backoff | None = None,
    ) -> None:
        self._producer = producer
        self._topics = topics
        self._send_timeout = send_timeout
        self._backoff = backoff or Backoff()

    async def publish(self, event: StatusEvent, identity: Identity) -> None:
        """Write the event to the status topic, and to the results topic if it is an outcome.

        An outcome goes to the results topic first, where it can be found: who finds it there after
        a crash, and no mark on the object, tells it `again`. The other way round it might be on the
        status topic alone, and nobody would know it if somebody retried the Workflow meanwhile.

        The results topic is compacted and its readers see no `sequence`, so an outcome is written
        there within a bounded time or not at all: the caller then reads the object again, which
        may have been retried. The status topic's readers ignore what is late, and there the write
        is repeated until it is acknowledged.

        Raises:
            KafkaUnavailableError: an outcome was not acknowledged in time; it may be all the same.
            UnwritableEventError: nothing was sent, and nothing of this event ever can be.
        """
        record = _encoded(event, identity)
        if event.terminal:
            await self._publish_outcome(record, event, identity)
        await self._publish_state(record, event, identity)

    async def republish(self, record: OutgoingRecord) -> None:
        """Write a record of the results topic to the status topic, which may lack it."""
        await self._insist(self._topics.status, record)

    async def restore(self, record: OutgoingRecord) -> None:
        """Write a record of the results topic there again, as the last one of its key.

        Raises:
            KafkaUnavailableError: it was not acknowledged in time.
        """
        try:
            await self._send_outcome(record)
        except RecordRefusedError as e:
            raise KafkaUnavailableError(str(e)) from e

    async def _publish_outcome(
        self, record: OutgoingRecord, event: StatusEvent, identity: Identity
    ) -> None:
        try:
            await self._send_outcome(record)
        except RecordRefusedError as e:
            _note_refusal(event, e)
            await self.restore(_encoded(bare(event), identity))

    async def _publish_state(
        self, record: OutgoingRecord, event: StatusEvent, identity: Identity
    ) -> None:
        try:
            await self._insist(self._topics.status, record, refusable=True)
        except RecordRefusedError as e:
            _note_refusal(event, e)
            await self._insist(self._topics.status, _encoded(bare(event), identity))

    async def _send_outcome(self, record: OutgoingRecord) -> None:
        topic = self._topics.results
        deadline = Deadline(f"write to {topic}", min(self._send_timeout, OUTCOME_PATIENCE))
        await self._producer.send(topic, record, deadline=deadline)

    async def _insist(self, topic: str, record: OutgoingRecord, *, refusable: bool = False) -> None:
        failures = 0
        while True:
            try:
                deadline = Deadline(f"write to {topic}", self._send_timeout)
                await self._producer.send(topic, record, deadline=deadline)
            except KafkaUnavailableError as e:
                why: Exception = e
            except RecordRefusedError as e:
                if refusable:
                    raise
                why = e
            else:
                return
            failures += 1
            pause = self._backoff.delay(failures)
            _log.warning("event not acknowledged", topic=topic, error=str(why), retry_in=pause)
            await asyncio.sleep(pause)


def _note_refusal(event: StatusEvent, error: RecordRefusedError) -> None:
    # Should the topic take less than it was verified to take, the outcome still counts.
    _log.error("event refused, sent without its details", run=str(event.key), error=str(error))


def _encoded(event: StatusEvent, identity: Identity) -> OutgoingRecord:
    published = PublishedEvent(
        event=event, fingerprint=identity.fingerprint, traceparent=identity.traceparent
    )
    try:
        return encode_status(published, source=SOURCE)
    except Exception as e:
        # Outputs may hold any JSON: half a surrogate pair, a thousand levels.
        raise UnwritableEventError(f"the event cannot be written: {type(e).__name__}") from e


def bare(event: StatusEvent) -> StatusEvent:
    """Give the event without its details: who, how far, since when, and the gist of why."""
    message = event.message[:_KEPT_MESSAGE] if event.message else None
    return event.model_copy(
        update={"steps": (), "outputs": {}, "message": message, "truncated": True}
    )
