"""Wires what the gateway knows of dead letters.

Each topic set is read for itself: one whose topic is missing does not stop the others.
"""

from collections.abc import Callable, Coroutine, Mapping
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
    """What is remembered, where letters stand, how old that is, and the tasks that read.

    `staleness` is by topic set, in seconds; None as long as its letters are not read.
    """

    letters: DeadLetters
    topics: KafkaLetterTopics
    staleness: Mapping[str, Callable[[], float | None]]
    tasks: Mapping[str, Callable[[], Coroutine[Any, Any, None]]]


def letter_reading(
    kafka: KafkaSettings,
    producers: Mapping[str, Producer],
    *,
    client_id: str,
    most: int,
    timeout: timedelta,
) -> LetterReading:
    """Wire them; `most` letters are remembered, and `timeout` is for a read or a write.

    `producers` has that of each topic set by its name.
    """
    sets = kafka.topic_sets
    letters = DeadLetters(topics=sets, most=most)
    projectors = {
        each.name: Projector(
            name=f"dead letters of {each}",
            topics=[each.topics.dlq],
            store=DeadLetterStore(letters),
            make_consumer=lambda: make_consumer(kafka, client_id=client_id),
            newest=most,
        )
        for each in sets
    }
    topics = KafkaLetterTopics(
        producer_of=lambda topic: producers[sets.of_topic(topic).name],
        make_consumer=lambda: make_consumer(kafka, client_id=f"{client_id}-value"),
        timeout=timeout,
    )
    return LetterReading(
        letters=letters,
        topics=topics,
        staleness={name: each.staleness for name, each in projectors.items()},
        tasks={f"dead letters of {name!r}": each.run for name, each in projectors.items()},
    )
