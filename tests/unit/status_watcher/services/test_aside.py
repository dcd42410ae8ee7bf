"""Events of many steps are decided and encoded in a thread, with the same result."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from sluice_contracts.status_codec import encode_status
from sluice_contracts.topic_sets import TopicSets
from sluice_status_watcher.adapters import status_publisher
from sluice_status_watcher.adapters.status_publisher import KafkaStatusPublisher
from sluice_status_watcher.domain.transitions import PublishedState, transition
from sluice_status_watcher.domain.workflow_state import parse_workflow
from sluice_status_watcher.metrics import Metrics
from sluice_status_watcher.services import event_publication
from sluice_status_watcher.services.event_publication import EventPublication
from tests.unit.status_watcher.manifests import node, nodes, stored
from tests.unit.status_watcher.world import TOPICS, FakeKafka

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FEW, MANY = 3, 2000


@pytest.mark.parametrize(
    ("steps", "output_bytes", "in_a_thread"),
    [
        (FEW, 1, set[str]()),
        (MANY, 1, {"decide", "encode"}),
        # The encoder leaves out outputs that exceed the limit of a record.
        (FEW, 400_000, {"decide"}),
    ],
)
async def test_event_of_many_steps_is_decided_and_encoded_in_a_thread(
    monkeypatch: pytest.MonkeyPatch, steps: int, output_bytes: int, in_a_thread: set[str]
) -> None:
    """An event of 9,999 steps blocked the event loop for 0.5 s."""
    threads: dict[str, threading.Thread] = {}

    def noting(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any, **more: Any) -> Any:
            threads[name] = threading.current_thread()
            return work(*arguments, **more)

        return noted

    monkeypatch.setattr(event_publication, "transition", noting("decide", transition))
    monkeypatch.setattr(status_publisher, "encode_status", noting("encode", encode_status))
    kafka = FakeKafka()
    publisher = KafkaStatusPublisher(kafka, TopicSets(TOPICS), send_timeout=timedelta(seconds=10))
    publication = EventPublication(publisher, metrics=Metrics(CollectorRegistry()))
    outputs = {"parameters": [{"name": "o", "value": "x" * output_bytes}]}
    found = nodes(
        *(node(f"n{number}", phase="Succeeded", outputs=outputs) for number in range(steps))
    )
    state = parse_workflow(stored(status={"phase": "Running", "nodes": found}), observed_at=NOW)
    await publication.publish(state, PublishedState())
    (event,) = kafka.events_for_test()
    assert len(event.steps) == steps
    main = threading.main_thread()
    assert {name for name, thread in threads.items() if thread is not main} == in_a_thread
    assert threads.keys() == {"decide", "encode"}
