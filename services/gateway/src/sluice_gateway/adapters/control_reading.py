"""Reads the controls topic into memory, for the service that shows and writes controls."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sluice_contracts.topics import TopicSpec, controls_topic
from sluice_gateway.adapters.control_producer import KafkaControlProducer
from sluice_gateway.services.controls import Controls
from sluice_runtime.kafka.consumer import make_consumer
from sluice_runtime.kafka.producer import Producer
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.projection.controls_store import ControlsStore
from sluice_runtime.projection.projector import Projector

__all__ = ["ControlReading", "control_reading"]


@dataclass(frozen=True, kw_only=True)
class ControlReading:
    """The service, the topic that it needs, and the task that reads it; both may be missing."""

    controls: Controls = field(default_factory=Controls)
    topics: tuple[TopicSpec, ...] = ()
    tasks: Mapping[str, Callable[[], Coroutine[Any, Any, None]]] = field(default_factory=dict)


def control_reading(
    kafka: KafkaSettings, producer: Producer, *, client_id: str, timeout: timedelta
) -> ControlReading:
    """Wire the controls; `timeout` is for Kafka to acknowledge one."""
    if kafka.controls_topic is None:
        return ControlReading()
    store = ControlsStore()
    projector = Projector(
        name="controls",
        topics=[kafka.controls_topic],
        store=store,
        make_consumer=lambda: make_consumer(kafka, client_id=client_id),
    )
    return ControlReading(
        controls=Controls(
            producer=KafkaControlProducer(producer, topic=kafka.controls_topic, timeout=timeout),
            states=lambda: store.states,
            unread=projector.waiting_for,
        ),
        topics=(controls_topic(kafka.controls_topic),),
        tasks={"controls": projector.run},
    )
