"""A Kafka producer for each topic set, so that none waits for the topics of another.

One producer would not do. aiokafka has one request at a time on its way to each broker, with the
records of all partitions there. The broker answers once all of them are replicated, and aiokafka
pauses if it refuses one. A producer that misses a deadline is replaced, and loses what it holds.
So each set also has a share of what may be on its way, and no more waits for it than that.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Final, Protocol

import structlog

from sluice_contracts.records import Appended, OutgoingRecord
from sluice_contracts.topic_sets import TopicSet
from sluice_gateway.domain.fair_shares import shares_of_topic_sets
from sluice_gateway.ports import TopicSetFullError
from sluice_runtime.backoff import Backoff
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.kafka.producer import Producer

__all__ = ["StartableProducer", "TopicSetProducers"]

_log = structlog.get_logger(__name__)

# What waits for an acknowledgement beside the record's bytes: tasks, futures, a batch.
_OVERHEAD: Final = 4096


class StartableProducer(Producer, Protocol):
    """A producer that can be asked to connect without a record to send."""

    async def start(self, *, deadline: Deadline) -> None:
        """Connect.

        Raises:
            KafkaUnavailableError: no broker answered.
        """


class TopicSetProducers:
    """Sends by the producer of each set, and connects those again that have failed.

    Args:
        producers: by the name of their set; the default set has one.
        max_bytes: what all records that are not acknowledged may take up.
        timeout: for Kafka to take a connection.
        backoff: pauses between attempts to connect.
    """

    def __init__(
        self,
        producers: Mapping[str, StartableProducer],
        *,
        max_bytes: int,
        timeout: timedelta,
        backoff: Backoff | None = None,
    ) -> None:
        self._producers = producers
        self._on_their_way = shares_of_topic_sets(max_bytes, sets=len(producers))
        self._timeout = timeout
        self._backoff = backoff or Backoff()
        # In the order in which they failed. The first connection is that of the default set.
        self._failed: dict[str, None] = {"": None}
        self._any_failed = asyncio.Event()
        self._any_failed.set()
        # Whether no broker has answered since, whatever for.
        self._away = True

    async def send(
        self, topic_set: TopicSet, record: OutgoingRecord, *, deadline: Deadline
    ) -> Appended:
        """Write a request record of the set; see `Producer.send`.

        Raises:
            TopicSetFullError: the set has as much on its way as it may have; nothing was written.
        """
        name, held = topic_set.name, record.size + _OVERHEAD
        if not self._on_their_way.take(name, held):
            raise TopicSetFullError(f"{topic_set}: too much is not acknowledged yet.")
        try:
            appended = await self._producers[name].send(
                topic_set.topics.requests, record, deadline=deadline
            )
        except KafkaUnavailableError:
            self._failed[name] = None
            self._any_failed.set()
            raise
        finally:
            self._on_their_way.give_back(name, held)
        self._note_connected(name)
        return appended

    def unavailable(self) -> str | None:
        """Return why a probe should fail; None if Kafka was there for any set the last time."""
        if self._away or len(self._failed) == len(self._producers):
            return "Kafka does not acknowledge records"
        return None

    async def reconnect(self) -> None:
        """Connect, and again after each failure, permanently.

        A replica that is not ready gets no requests, so no request could find out that Kafka is
        back.
        """
        failures = 0
        while True:
            await self._any_failed.wait()
            name = next(iter(self._failed), None)
            if name is None:
                # A record was acknowledged before this task went on.
                continue
            try:
                await self._producers[name].start(deadline=Deadline("connecting", self._timeout))
            except KafkaUnavailableError as e:
                self._away = True
                failures += 1
                pause = self._backoff.delay(failures)
                _log.warning("Kafka is away", error=str(e), retry_in=round(pause, 1))
                await asyncio.sleep(pause)
            else:
                failures = 0
                self._note_connected(name)
                _log.info("connected to Kafka", door=name)

    def _note_connected(self, name: str) -> None:
        self._away = False
        self._failed.pop(name, None)
        if not self._failed:
            self._any_failed.clear()
