"""The audit topic: records are written beside the requests, and never hold one up."""

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import structlog

from sluice_contracts.audit import AuditRecord, audit_topic, encode_audit
from sluice_contracts.topics import TopicSpec
from sluice_gateway.auth_settings import AuthSettings
from sluice_gateway.metrics import Metrics
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.kafka.producer import BatchProducer, RecordProducer
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.kafka.topics import TopicMismatchError, ensure_topic

__all__ = ["AuditTopic", "opened_audit"]

_log = structlog.get_logger(__name__)

_MOST_WAITING: Final = 10_000
_AT_A_TIME: Final = 500
# Batches of Kafka take little more time than a record, so a record waits for others.
_LINGER: Final = timedelta(milliseconds=50)
_TIMEOUT: Final = timedelta(seconds=10)
_AT_THE_END: Final = timedelta(seconds=5)


@asynccontextmanager
async def opened_audit(
    auth: AuthSettings, kafka: KafkaSettings, *, client_id: str, metrics: Metrics
) -> AsyncIterator["AuditTopic | None"]:
    """Write audit records while the body runs; None if clients are not identified."""
    if auth.mode != "required":
        yield None
        return
    await _create(kafka, audit_topic(auth.audit_topic), client_id=client_id)
    # Of its own: if the topic is missing, requests must not wait with it.
    producer = RecordProducer(kafka, client_id=client_id)
    topic = AuditTopic(producer, topic=auth.audit_topic, lost=metrics.audit_lost.inc)
    try:
        async with topic.running(drained_within=_AT_THE_END):
            yield topic
    finally:
        await producer.close()


async def _create(kafka: KafkaSettings, spec: TopicSpec, *, client_id: str) -> None:
    deadline = Deadline("create the audit topic", kafka.request_timeout)
    try:
        await ensure_topic(kafka, spec, client_id=client_id, deadline=deadline)
    except (TopicMismatchError, KafkaUnavailableError) as e:
        # Without it the audit is in the log alone, which the metric of lost records says.
        _log.warning("audit topic not created", error=str(e))


class AuditTopic:
    """Writes audit records in batches, each once; what cannot be written is in the log alone.

    A record waits for others for up to `linger`.

    `lost` is called with the number of records that are not on the topic, or not for certain.
    """

    def __init__(
        self,
        producer: BatchProducer,
        *,
        topic: str,
        lost: Callable[[int], None],
        linger: timedelta = _LINGER,
    ) -> None:
        self._producer = producer
        self._linger = linger
        self._topic = topic
        self._lost = lost
        self._waiting: deque[AuditRecord] = deque()
        self._more = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def put(self, record: AuditRecord) -> None:
        """See `AuditSink.put`; beyond ten thousand that wait, records are in the log alone."""
        if len(self._waiting) >= _MOST_WAITING:
            self._lost(1)
            return
        self._waiting.append(record)
        self._idle.clear()
        self._more.set()

    @asynccontextmanager
    async def running(self, *, drained_within: timedelta) -> AsyncIterator[None]:
        """Write while the body runs, and what is left then for at most so long."""
        writing = asyncio.create_task(self._run(), name="audit")
        try:
            yield
            await self._drain(within=drained_within)
        finally:
            writing.cancel()
            await asyncio.wait({writing})

    async def _run(self) -> None:
        while True:
            await self._more.wait()
            await asyncio.sleep(self._linger.total_seconds())
            self._more.clear()
            while self._waiting:
                await self._write_some()
            self._idle.set()

    async def _write_some(self) -> None:
        count = min(_AT_A_TIME, len(self._waiting))
        batch = [self._waiting.popleft() for _ in range(count)]
        records = [encode_audit(each, event_id=secrets.token_hex(16)) for each in batch]
        deadline = Deadline("writing the audit", _TIMEOUT)
        written = await self._producer.send_all(self._topic, records, deadline=deadline)
        if failed := count - written:
            self._lost(failed)
            _log.warning("audit records are in the log alone", records=failed)

    async def _drain(self, *, within: timedelta) -> None:
        try:
            async with asyncio.timeout(within.total_seconds()):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("audit records are in the log alone", records=len(self._waiting))
