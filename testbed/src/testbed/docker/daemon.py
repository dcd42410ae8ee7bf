"""How a Docker daemon is run, for building images or for running containers."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.building.commands import run
from testbed.errors import TestbedError
from testbed.machine.addresses import DOCKER
from testbed.machine.processes import Program

# The kernel's own limit, with the zero at its end.
_SOCKET_BYTES = 107


@dataclass(frozen=True)
class Daemon:
    """A daemon and all its files.

    One that ``builds`` is in the computer's network, from where packages can be fetched, and
    touches nothing of it; its containers have no network but that one. One that does not has the
    machine's network, with bridges and published ports.
    """

    name: str
    folder: Path
    builds: bool

    @property
    def socket(self) -> Path:
        """Where it answers; out here, too."""
        return self.folder / "socket"

    @property
    def _configuration(self) -> Path:
        return self.folder / "daemon.json"

    @property
    def environment(self) -> dict[str, str]:
        """Return what a Docker client is told to reach it."""
        return {
            "DOCKER_HOST": f"unix://{self.socket}",
            "DOCKER_CONFIG": str(self.folder / "client"),
            # Debian's client has no other builder.
            "DOCKER_BUILDKIT": "0",
            # Where it publishes ports, and that its caretaker's image cannot be pulled.
            "TESTCONTAINERS_HOST_OVERRIDE": DOCKER.machine,
            "TESTCONTAINERS_RYUK_DISABLED": "true",
        }

    def write(self) -> None:
        """Write its configuration: nothing, so that the computer's own is not read."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._configuration.write_text("{}\n", "ascii")

    def program(self) -> Program:
        """Return how it is run.

        Raises:
            TestbedError: its folder's path is too long for a socket.
        """
        if len(os.fsencode(self.socket)) > _SOCKET_BYTES:
            raise TestbedError(
                f"{self.socket} is too long for the path of a socket.",
                way_out="Choose a shorter folder with XDG_CACHE_HOME.",
            )
        alone = ("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-masq=false")
        return Program(
            name=self.name,
            command=[
                "dockerd",
                f"--host=unix://{self.socket}",
                f"--data-root={self.folder / 'data'}",
                # The machine has a /run of its own.
                f"--exec-root=/run/{self.name}",
                f"--pidfile=/run/{self.name}.pid",
                f"--cgroup-parent=/{DOCKER.name}",
                "--ip-forward=false",
                f"--config-file={self._configuration}",
                *(alone if self.builds else ("--ip6tables=false",)),
            ],
            network=not self.builds,
        )

    def answers(self) -> bool:
        """Whether it is ready."""
        try:
            self.docker("version")
        except TestbedError:
            return False
        return True

    def docker(
        self,
        *arguments: str | Path,
        more: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> str:
        """Run the Docker client and return what it printed; ``more`` is its environment besides.

        Raises:
            TestbedError: it failed.
        """
        environment = {**os.environ, **self.environment, **(more or {})}
        return run(
            ["docker", *arguments],
            cwd=cwd,
            environment=environment,
            way_out="Debian: apt install docker.io",
        )

    def load(self, archives: Sequence[Path]) -> None:
        """Give it images."""
        for archive in archives:
            self.docker("load", "--quiet", "--input", archive)

    def give_client(self, compose: Path) -> None:
        """Let its client know Compose."""
        plugin = self.folder / "client" / "cli-plugins" / "docker-compose"
        plugin.parent.mkdir(parents=True, exist_ok=True)
        plugin.unlink(missing_ok=True)
        plugin.symlink_to(compose)
