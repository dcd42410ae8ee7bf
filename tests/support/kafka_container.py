"""Apache Kafka in a container, if there are Docker and an image (KAFKA_IMAGE)."""

import asyncio
import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from aiokafka.client import AIOKafkaClient
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from sluice_local.kafka import DEFAULT_VERSION
from sluice_local.kafka.config import MAX_MESSAGE_BYTES, STARTED_MESSAGE
from sluice_local.ports import free_ports

_READY_SECONDS = 60
_INSIDE = 9092


@dataclass(frozen=True)
class KafkaContainer:
    """A broker in a container; `bootstrap_servers` is its address on this machine."""

    bootstrap_servers: str


@contextlib.contextmanager
def running_kafka_container() -> Iterator[KafkaContainer]:
    """Run a Kafka while the body runs, on a free port of this machine."""
    [port] = free_ports(1)
    # The broker advertises this address, so it must be known before the start.
    address = f"{DockerClient().host()}:{port}"
    image = os.environ.get("KAFKA_IMAGE", f"apache/kafka:{DEFAULT_VERSION}")
    container = (
        DockerContainer(image)
        .with_bind_ports(_INSIDE, port)
        .with_envs(**_settings(address))
        .waiting_for(LogMessageWaitStrategy(STARTED_MESSAGE).with_startup_timeout(_READY_SECONDS))
    )
    with container:
        asyncio.run(_answer(address))
        yield KafkaContainer(address)


def _settings(address: str) -> dict[str, str]:
    """Return the variables of the official image: those of the embedded Kafka and the listeners."""
    return {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@127.0.0.1:9093",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENERS": f"PLAINTEXT://:{_INSIDE},CONTROLLER://127.0.0.1:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{address}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_MESSAGE_MAX_BYTES": str(MAX_MESSAGE_BYTES),
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "4",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "6000",
    }


async def _answer(address: str) -> None:
    """Wait for the answer to a metadata request, the first of any client."""
    client = AIOKafkaClient(bootstrap_servers=address)
    try:
        async with asyncio.timeout(_READY_SECONDS):
            await client.bootstrap()
    finally:
        await client.close()
