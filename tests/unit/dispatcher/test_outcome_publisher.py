"""An outcome is on the status topic before it is on the results topic."""

from datetime import UTC, datetime, timedelta

import pytest

from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.notices import QueueNotice
from sluice_contracts.status import Phase, StatusEvent
from sluice_contracts.status_codec import PublishedEvent, decode_status
from sluice_contracts.topic_sets import TopicSets
from sluice_contracts.topics import TopicNames
from sluice_dispatcher.adapters.outcome_publisher import KafkaOutcomePublisher
from sluice_runtime.kafka.errors import KafkaUnavailableError
from tests.support.fake_producer import FakeProducer

TOPICS = TopicNames()
REJECTED = PublishedEvent(
    event=StatusEvent(
        event_id="e",
        run_id="order-1",
        tenant="default",
        workflow="hello",
        workflow_name=workflow_name(RunKey("default", "order-1")),
        phase=Phase.REJECTED,
        terminal=True,
        observed_at=datetime(2026, 1, 1, tzinfo=UTC),
        sequence=0,
    ),
    fingerprint=None,
    traceparent=None,
)


@pytest.mark.looptime
async def test_an_outcome_that_is_not_on_the_status_topic_is_not_in_the_ledger() -> None:
    producer = FakeProducer()
    publisher = KafkaOutcomePublisher(
        producer, topics=TopicSets(TOPICS), timeout=timedelta(seconds=10)
    )
    producer.fail_next_for_test()
    with pytest.raises(KafkaUnavailableError):
        await publisher.publish_outcome(REJECTED)
    assert producer.records_for_test(TOPICS.results) == []
    await publisher.publish_outcome(REJECTED)
    [status] = producer.records_for_test(TOPICS.status)
    [result] = producer.records_for_test(TOPICS.results)
    assert status.value == result.value
    assert status.timestamp_ms < result.timestamp_ms


async def test_a_result_and_a_status_event_are_the_same_record_on_one_topic_each() -> None:
    producer = FakeProducer()
    publisher = KafkaOutcomePublisher(
        producer, topics=TopicSets(TOPICS), timeout=timedelta(seconds=10)
    )
    await publisher.publish_result(REJECTED)
    assert producer.records_for_test(TOPICS.status) == []
    await publisher.publish_status(REJECTED)
    [status] = producer.records_for_test(TOPICS.status)
    [result] = producer.records_for_test(TOPICS.results)
    assert (status.key, status.value) == (result.key, result.value)


async def test_a_queue_notice_is_on_the_status_topic_under_the_key_of_its_run() -> None:
    producer = FakeProducer()
    publisher = KafkaOutcomePublisher(
        producer, topics=TopicSets(TOPICS), timeout=timedelta(seconds=10)
    )
    now = datetime(2026, 1, 1, tzinfo=UTC)
    notice = QueueNotice(
        event_id="e",
        run_id="order-1",
        tenant="default",
        request="sluice.requests/0@7",
        held_by="forbidden",
        detail="A quota forbids it.",
        since=now,
        observed_at=now,
    )
    await publisher.publish_queued(notice, traceparent=None)
    [record] = producer.records_for_test(TOPICS.status)
    assert record.key == b"default/order-1"
    assert decode_status(record) == notice
