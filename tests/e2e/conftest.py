"""Every pair of an engine and a line of Kafka, and one Sluice for all tests that do not kill it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice_local.kafka import EmbeddedKafka
from tests.support.engines import KAFKA_LINES, Engine, engine_parameters, running_engine
from tests.support.kafka import KafkaServer, running_broker
from tests.support.sluice import Sluice, running_sluice

CLUSTER_SECONDS = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give pods more time than processes need."""
    here = Path(__file__).parent
    for item in items:
        cluster = here in item.path.parents and item.get_closest_marker("cluster")
        if cluster and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(CLUSTER_SECONDS))


@pytest.fixture(scope="session", params=engine_parameters())
def engine(request: pytest.FixtureRequest) -> Engine:
    """What the Workflows run on."""
    return running_engine(request.param)


@pytest.fixture(scope="session", params=KAFKA_LINES, ids=lambda line: f"kafka-{line}")
def kafka(
    engine: Engine, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KafkaServer]:
    """A real Apache Kafka of each line."""
    if not engine.is_local:
        yield engine.cluster.kafka[request.param]
        return
    broker = EmbeddedKafka(
        data_dir=tmp_path_factory.mktemp("kafka"), version=KAFKA_LINES[request.param]
    )
    with running_broker(broker):
        yield broker


@pytest.fixture(scope="session")
def sluice(
    kafka: KafkaServer, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sluice]:
    """A Sluice that runs as long as its engine and its Kafka do."""
    with running_sluice(kafka, tmp_path_factory.mktemp("sluice"), engine=engine) as running:
        yield running
