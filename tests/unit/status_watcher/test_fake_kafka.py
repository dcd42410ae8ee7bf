"""The stand-in for Kafka faces the suites of the producer and of the results reader."""

from datetime import timedelta

import pytest

from sluice_contracts.records import IncomingRecord
from sluice_contracts.status import StatusEvent
from sluice_contracts.status_codec import PublishedEvent, encode_status
from sluice_runtime.deadlines import Deadline
from tests.behaviour.producer_port import ProducerPortSuite, Read
from tests.behaviour.results_reader_port import Append, ResultsReaderPortSuite
from tests.unit.status_watcher.fake_kafka import TOPICS, FakeKafka

pytestmark = pytest.mark.looptime


@pytest.fixture
async def kafka() -> FakeKafka:
    return FakeKafka()


class TestProducer(ProducerPortSuite):
    @pytest.fixture
    def producer(self, kafka: FakeKafka) -> FakeKafka:
        return kafka

    @pytest.fixture
    def topic(self) -> str:
        return TOPICS.status

    @pytest.fixture
    def read(self, kafka: FakeKafka) -> Read:
        async def read(topic: str) -> list[IncomingRecord]:
            return kafka.records_for_test(topic)

        return read


class TestResultsReader(ResultsReaderPortSuite):
    @pytest.fixture
    def results(self, kafka: FakeKafka) -> FakeKafka:
        return kafka

    @pytest.fixture
    def append(self, kafka: FakeKafka) -> Append:
        async def append(*events: StatusEvent) -> None:
            for event in events:
                published = PublishedEvent(event=event, fingerprint=None, traceparent=None)
                record = encode_status(published, source="/test")
                deadline = Deadline("write a result", timedelta(seconds=5))
                await kafka.send(TOPICS.results, record, deadline=deadline)

        return append
