"""What benches share: a gateway over a Kafka of its own, and status events at a steady pace."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaProducer

from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.records import OutgoingRecord
from sluice_contracts.status import Phase, StatusEvent, event_id
from sluice_contracts.status_codec import PublishedEvent, encode_status
from sluice_contracts.steps import Step
from sluice_local.kafka import EmbeddedKafka
from tests.support.engines import Engine
from tests.support.kafka import running_broker
from tests.support.matrix import LOCAL
from tests.support.sluice import Sluice

__all__ = ["StatusWriter", "resident_megabytes", "running_gateway", "status", "steadily"]

_TRACEPARENT: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@contextlib.contextmanager
def running_gateway(folder: Path, **environment: str) -> Iterator[Sluice]:
    """Run a gateway with an empty Kafka while the body runs."""
    broker = EmbeddedKafka(data_dir=folder / "kafka")
    with running_broker(broker):
        gateway: Mapping[str, Mapping[str, str]] = {"gateway": environment}
        sluice = Sluice(broker, folder / "sluice", engine=Engine(LOCAL), environment=gateway)
        try:
            sluice.start("gateway")
            yield sluice
        finally:
            sluice.stop()


def resident_megabytes(pid: int) -> float:
    """Return what a process has in memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"Process {pid} has no memory.")


def status(
    run_id: str,
    sequence: int,
    phase: Phase,
    *,
    accepted_at: datetime,
    steps: Sequence[Step] = (),
    workflow: str = "map-reduce",
) -> OutgoingRecord:
    """Return a status event as the status-watcher writes it.

    A workflow that the catalogue does not have is one without a planned graph.
    """
    key = RunKey("default", run_id)
    event = StatusEvent(
        event_id=event_id(str(key), str(sequence)),
        run_id=run_id,
        tenant=key.tenant,
        workflow=workflow,
        workflow_name=workflow_name(key),
        phase=phase,
        terminal=phase.terminal,
        progress="1/2",
        steps=tuple(steps),
        labels={"team": f"team-{len(run_id) % 20}"},
        accepted_at=accepted_at,
        started_at=accepted_at,
        observed_at=datetime.now(UTC),
        sequence=sequence,
    )
    published = PublishedEvent(event=event, fingerprint="f" * 64, traceparent=_TRACEPARENT)
    return encode_status(published, source="/bench")


class StatusWriter:
    """Writes records to a status topic."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, sluice: Sluice) -> AsyncIterator["StatusWriter"]:
        """Write to the status topic of a Sluice while the body runs."""
        producer = AIOKafkaProducer(
            bootstrap_servers=sluice.kafka.bootstrap_servers, max_request_size=4 * 1024 * 1024
        )
        await producer.start()
        try:
            yield cls(producer, sluice.topics.status)
        finally:
            await producer.stop()

    async def write(self, record: OutgoingRecord, then: Callable[[], None] = lambda: None) -> None:
        """Write a record; `then` is called when the topic has it."""
        appended = await self._producer.send(
            self._topic, record.value, key=record.key, headers=list(record.headers)
        )
        appended.add_done_callback(lambda _: then())

    async def flush(self) -> None:
        """Wait until the topic has all records."""
        await self._producer.flush()


async def steadily(count: int, *, a_second: float) -> AsyncIterator[int]:
    """Yield the numbers from 0 on, each when its time has come."""
    began = time.perf_counter()
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / a_second - time.perf_counter()))
        yield number
