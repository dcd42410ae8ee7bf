"""How a Docker daemon is run, for building images or for running containers."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.building.commands import run
from testbed.errors import TestbedError
from testbed.machine.addresses import DOCKER
from testbed.machine.processes import Program

# The kernel's limit, including the final zero byte.
_SOCKET_BYTES = 107


@dataclass(frozen=True)
class Daemon:
    """A daemon and all its files.

    One that ``builds`` uses the computer's network without changing it, so that builds can fetch
    packages. The other one uses the machine's network, with bridges and published ports.
    """

    name: str
    folder: Path
    builds: bool

    @property
    def socket(self) -> Path:
        """Its socket, reachable from the computer as well."""
        return self.folder / "socket"

    @property
    def _configuration(self) -> Path:
        return self.folder / "daemon.json"

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of a Docker client for it."""
        return {
            "DOCKER_HOST": f"unix://{self.socket}",
            "DOCKER_CONFIG": str(self.folder / "client"),
            # Debian's client has no other builder.
            "DOCKER_BUILDKIT": "0",
            # The address of published ports; the image of Ryuk, which cleans up, cannot be pulled.
            "TESTCONTAINERS_HOST_OVERRIDE": DOCKER.machine,
            "TESTCONTAINERS_RYUK_DISABLED": "true",
        }

    def write(self) -> None:
        """Write an empty configuration, so that the computer's own is not read."""
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
        """Run the Docker client and return what it printed; ``more`` is added to its environment.

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
        """Install Compose for its client."""
        plugin = self.folder / "client" / "cli-plugins" / "docker-compose"
        plugin.parent.mkdir(parents=True, exist_ok=True)
        plugin.unlink(missing_ok=True)
        plugin.symlink_to(compose)
