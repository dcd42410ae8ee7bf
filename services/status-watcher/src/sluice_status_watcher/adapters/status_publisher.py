"""Writes status events to Kafka."""

from datetime import timedelta
from functools import partial
from typing import Final, Protocol

import structlog

from sluice_contracts.records import OutgoingRecord
from sluice_contracts.status import StatusEvent, Truncation
from sluice_contracts.status_codec import PublishedEvent, encode_status
from sluice_contracts.topic_sets import TopicSets
from sluice_contracts.topics import TopicNames
from sluice_runtime.backoff import Backoff
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.errors import KafkaUnavailableError, RecordRefusedError
from sluice_runtime.kafka.outcome_writer import write_results_first
from sluice_runtime.kafka.producer import Producer
from sluice_runtime.retry import retry_forever
from sluice_status_watcher.domain.workflow_state import Identity
from sluice_status_watcher.ports import UnwritableEventError
from sluice_status_watcher.services.aside import run_aside

__all__ = ["KafkaStatusPublisher", "StatusProducer"]

_log = structlog.get_logger(__name__)

_SOURCE = "/sluice/status-watcher"
"""The events' `ce_source`."""

_OUTCOME_PATIENCE = timedelta(seconds=5)
"""For an outcome to be acknowledged, before its Workflow is read again."""

# Without outputs: the encoder leaves those out that exceed the limit of a record.
_STEP_BYTES: Final = 1024


class StatusProducer(Producer, Protocol):
    """A producer that knows why it fails."""

    def unavailable(self) -> str | None:
        """Return why the last send failed; None if it did not."""


class KafkaStatusPublisher:
    """The `StatusPublisher` on top of a producer.

    Args:
        producer: writes the records.
        topics: the topics of each tenant.
        send_timeout: for one attempt to write a record.
        backoff: pauses between attempts.
    """

    def __init__(
        self,
        producer: StatusProducer,
        topics: TopicSets,
        *,
        send_timeout: timedelta,
        backoff: Backoff | None = None,
    ) -> None:
        self._producer = producer
        self._topics = topics
        self._send_timeout = send_timeout
        self._backoff = backoff or Backoff()

    def unavailable(self) -> str | None:
        """See `StatusPublisher.unavailable`."""
        return self._producer.unavailable()

    async def publish(self, event: StatusEvent, identity: Identity) -> None:
        """See `StatusPublisher.publish`.

        Readers of the compacted results topic see no `sequence`. So an outcome is written there
        within a bounded time or not at all; after that the object is read again, as it may have
        been retried. Readers of the status topic ignore late events, so that write is repeated
        until it is acknowledged.
        """
        encode = partial(_encode, event, identity)
        record = await run_aside(encode, size=_STEP_BYTES * len(event.steps))
        if not event.terminal:
            await self._write_status(record, event, identity)
            return
        await write_results_first(
            results=lambda: self._write_result(record, event, identity),
            status=lambda: self._write_status(record, event, identity),
        )

    async def republish(self, record: OutgoingRecord) -> None:
        """See `StatusPublisher.republish`."""
        await self._insist(record, on=(KafkaUnavailableError, RecordRefusedError))

    async def restore(self, record: OutgoingRecord) -> None:
        """See `StatusPublisher.restore`."""
        try:
            await self._send_result(record)
        except RecordRefusedError as e:
            raise KafkaUnavailableError(str(e)) from e

    async def _write_result(
        self, record: OutgoingRecord, event: StatusEvent, identity: Identity
    ) -> None:
        try:
            await self._send_result(record)
        except RecordRefusedError as e:
            await self.restore(_without_details(event, identity, e))

    async def _write_status(
        self, record: OutgoingRecord, event: StatusEvent, identity: Identity
    ) -> None:
        try:
            await self._insist(record, on=(KafkaUnavailableError,))
        except RecordRefusedError as e:
            await self.republish(_without_details(event, identity, e))

    async def _send_result(self, record: OutgoingRecord) -> None:
        topic = self._topics_of(record).results
        deadline = Deadline(f"write to {topic}", min(self._send_timeout, _OUTCOME_PATIENCE))
        await self._producer.send(topic, record, deadline=deadline)

    async def _insist(self, record: OutgoingRecord, *, on: tuple[type[Exception], ...]) -> None:
        """Write to the status topic until that is acknowledged, after all errors in `on`."""
        topic = self._topics_of(record).status

        async def send() -> None:
            deadline = Deadline(f"write to {topic}", self._send_timeout)
            await self._producer.send(topic, record, deadline=deadline)

        def on_retry(error: Exception, pause: float) -> None:
            _log.warning("event not acknowledged", topic=topic, error=str(error), retry_in=pause)

        await retry_forever(send, on=on, backoff=self._backoff, on_retry=on_retry)

    def _topics_of(self, record: OutgoingRecord) -> TopicNames:
        """Return the topics of the tenant, with which the record's key begins."""
        tenant = (record.key or b"").partition(b"/")[0].decode(errors="replace")
        return self._topics.of_tenant(tenant).topics


def _encode(event: StatusEvent, identity: Identity) -> OutgoingRecord:
    published = PublishedEvent(
        event=event, fingerprint=identity.fingerprint, traceparent=identity.traceparent
    )
    try:
        return encode_status(published, source=_SOURCE)
    except Exception as e:
        # Outputs may hold any JSON: half a surrogate pair, or a thousand levels.
        raise UnwritableEventError(f"the event cannot be written: {type(e).__name__}") from e


def _without_details(
    event: StatusEvent, identity: Identity, error: RecordRefusedError
) -> OutgoingRecord:
    # A topic may take less than it was verified to take; the outcome is written all the same.
    _log.error("event refused, sent without details", error=str(error), **identity.log_fields())
    return _encode(event.truncate(Truncation.DETAILS), identity)
