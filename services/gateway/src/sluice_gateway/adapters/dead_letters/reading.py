"""Wires what the gateway knows of dead letters."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sluice_gateway.adapters.dead_letters.store import DeadLetterStore
from sluice_gateway.adapters.dead_letters.topics import KafkaLetterTopics
from sluice_gateway.domain.dead_letters import DeadLetters
from sluice_runtime.kafka.consumer import make_consumer
from sluice_runtime.kafka.producer import Producer
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.projection.projector import Projector

__all__ = ["LetterReading", "letter_reading"]


@dataclass(frozen=True, kw_only=True)
class LetterReading:
    """What is remembered, where letters stand, why not all are read, and the task that reads."""

    letters: DeadLetters
    topics: KafkaLetterTopics
    unread: Callable[[], str | None]
    run: Callable[[], Coroutine[Any, Any, None]]


def letter_reading(
    kafka: KafkaSettings, producer: Producer, *, client_id: str, most: int, timeout: timedelta
) -> LetterReading:
    """Wire them; `most` letters are remembered, and `timeout` is for a read or a write."""
    sets = kafka.topic_sets
    letters = DeadLetters(topics=sets, most=most)
    projector = Projector(
        name="dead letters",
        topics=[each.topics.dlq for each in sets],
        store=DeadLetterStore(letters),
        make_consumer=lambda: make_consumer(kafka, client_id=client_id),
        newest=most,
    )
    topics = KafkaLetterTopics(
        producer=producer,
        make_consumer=lambda: make_consumer(kafka, client_id=f"{client_id}-value"),
        timeout=timeout,
    )
    return LetterReading(
        letters=letters,
        topics=topics,
        unread=projector.waiting_for,
        run=projector.run,
    )
