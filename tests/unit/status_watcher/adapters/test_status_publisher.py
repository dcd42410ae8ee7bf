"""Every event is written until Kafka has acknowledged it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sluice_contracts.records import Appended, OutgoingRecord
from sluice_contracts.status import StatusEvent
from sluice_contracts.topic_sets import Door, TopicSets
from sluice_contracts.topics import MAX_STATUS_RECORD_BYTES
from sluice_runtime.backoff import Backoff
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.errors import KafkaUnavailableError, RecordRefusedError
from sluice_status_watcher.adapters.status_publisher import KafkaStatusPublisher
from sluice_status_watcher.domain.transitions import PublishedState, transition
from sluice_status_watcher.domain.workflow_state import Identity, parse_workflow
from tests.unit.status_watcher.manifests import FINISHED, node, nodes, stored
from tests.unit.status_watcher.world import TOPICS, FakeKafka

pytestmark = pytest.mark.looptime


def event(phase: str = "Succeeded", **status: Any) -> tuple[StatusEvent, Identity]:
    end = {"finishedAt": FINISHED} if phase in {"Succeeded", "Failed"} else {}
    document = stored(status={"phase": phase, **end, **status})
    state = parse_workflow(document, observed_at=datetime(2026, 1, 1, tzinfo=UTC))
    published, _ = transition(state, PublishedState())
    assert published is not None
    return published, state.identity


def publisher(kafka: FakeKafka) -> KafkaStatusPublisher:
    backoff = Backoff(uniform=lambda low, high: high)  # noqa: ARG005
    return KafkaStatusPublisher(
        kafka, TopicSets(TOPICS), send_timeout=timedelta(seconds=10), backoff=backoff
    )


def headers(record: OutgoingRecord) -> dict[str, str]:
    return {name: value.decode() for name, value in record.headers}


async def test_state_is_written_to_the_status_topic_only() -> None:
    kafka = FakeKafka()
    await publisher(kafka).publish(*event("Running"))
    ((topic, record, _),) = kafka.records
    assert (topic, record.key) == (TOPICS.status, b"default/order-1")
    assert headers(record).items() >= {
        ("ce_type", "sluice.run.running"),
        ("ce_source", "/sluice/status-watcher"),
        ("ce_subject", "default/order-1"),
        ("ce_fingerprint", "f" * 64),
        ("ce_sequence", "7"),
    }
    assert headers(record)["traceparent"].startswith("00-")


async def test_every_record_goes_to_the_topics_of_its_run_s_tenant() -> None:
    kafka, sets = FakeKafka(), TopicSets(TOPICS, [Door(name="acme", tenants=("acme",))])
    publisher = KafkaStatusPublisher(kafka, sets, send_timeout=timedelta(seconds=10))
    published, identity = event()
    await publisher.publish(published.model_copy(update={"tenant": "acme"}), identity)
    (_, record, _), _ = kafka.records
    await publisher.restore(record)
    await publisher.republish(record)
    own = sets.of_tenant("acme").topics
    assert [topic for topic, _, _ in kafka.records] == [own.results, own.status] * 2
    await publisher.publish(published, identity)
    assert kafka.records[-1][0] == TOPICS.status


async def test_outcome_is_written_to_the_results_topic_first() -> None:
    kafka = FakeKafka()
    await publisher(kafka).publish(*event())
    (first, one, _), (second, other, _) = kafka.records
    assert (first, second) == (TOPICS.results, TOPICS.status)
    assert one == other


async def test_unacknowledged_state_is_sent_until_acknowledged(looptime: Any) -> None:
    kafka = FakeKafka()
    kafka.fail_for_test(*[KafkaUnavailableError("no broker") for _ in range(200)])
    await publisher(kafka).publish(*event("Running"))
    assert [topic for topic, _, _ in kafka.records] == [TOPICS.status]
    assert looptime > 190 * 30


async def test_status_of_an_outcome_is_sent_until_acknowledged(
    looptime: Any,
) -> None:
    kafka = FakeKafka()
    failures = [KafkaUnavailableError("no broker") for _ in range(200)]
    kafka.fail_for_test(*failures, topic=TOPICS.status)
    await publisher(kafka).publish(*event())
    assert [topic for topic, _, _ in kafka.records] == [TOPICS.results, TOPICS.status]
    assert looptime > 190 * 30


async def test_outcome_is_given_up_after_five_seconds(looptime: Any) -> None:
    kafka = FakeKafka()
    kafka.get_stuck_for_test()
    with pytest.raises(KafkaUnavailableError, match="not acknowledged in time"):
        await publisher(kafka).publish(*event())
    assert looptime == 5
    assert kafka.records == []
    await kafka.land_for_test(all_of_them=True)
    # The outcome was sent once, and its status not before it.
    assert [topic for topic, _, _ in kafka.records] == [TOPICS.results]


async def test_lost_acknowledgement_repeats_the_same_event() -> None:
    kafka = FakeKafka()
    kafka.lose_acknowledgements_for_test(times=1)
    await publisher(kafka).publish(*event("Running"))
    one, other = kafka.events_for_test()
    assert one == other


async def test_refused_outcome_is_sent_without_details() -> None:
    kafka = FakeKafka()
    kafka.fail_for_test(RecordRefusedError("too large"), topic=TOPICS.results)
    published, identity = event(
        nodes=nodes(node("a", phase="Succeeded")),
        message="m" * 5000,
        outputs={"parameters": [{"name": "big", "value": "x"}]},
    )
    await publisher(kafka).publish(published, identity)
    (whole,) = kafka.events_for_test(TOPICS.status)
    assert whole == published
    (bare,) = kafka.events_for_test(TOPICS.results)
    assert (bare.steps, bare.outputs, bare.truncated) == ((), {}, True)
    assert bare.message == "m" * 1024
    assert (bare.event_id, bare.phase) == (published.event_id, published.phase)


@pytest.mark.parametrize(
    "details",
    [
        {"outputs": {"parameters": [{"name": "big", "value": "x" * 2_000_000}]}},
        {"message": "m" * 2_000_000},
        {"progress": "1" * 2_000_000},
    ],
)
@pytest.mark.parametrize("phase", ["Running", "Succeeded"])
async def test_record_that_no_topic_takes_is_not_sent(phase: str, details: dict[str, Any]) -> None:
    """A refusal costs the producer, and with it everything that is being sent."""

    class Measured(FakeKafka):
        async def send(
            self,
            topic: str,
            record: OutgoingRecord,
            *,
            deadline: Deadline,
            partition: int | None = None,
        ) -> Appended:
            assert record.size <= MAX_STATUS_RECORD_BYTES
            return await super().send(topic, record, deadline=deadline, partition=partition)

    kafka = Measured()
    await publisher(kafka).publish(*event(phase, **details))
    published = kafka.events_for_test()[0]
    assert (published.phase, published.truncated, published.outputs) == (phase, True, {})


async def test_outcome_refused_without_details_is_retried_later() -> None:
    kafka = FakeKafka()
    kafka.fail_for_test(*[RecordRefusedError("too large") for _ in range(3)], topic=TOPICS.results)
    with pytest.raises(KafkaUnavailableError, match="too large"):
        await publisher(kafka).publish(*event())
    assert kafka.records == []
    await publisher(kafka).publish(*event())
    (bare,) = kafka.events_for_test(TOPICS.results)
    assert bare.truncated
    assert bare.message is None
