"""The machine that Docker runs in: one at a time on this computer."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from testbed.docker.daemon import Daemon
from testbed.errors import TestbedError
from testbed.machine import machine as machines
from testbed.machine.addresses import DOCKER
from testbed.machine.processes import Processes
from testbed.waiting import wait_until

_READY_SECONDS = 180.0


class DockerHost:
    """Docker on a machine of its own; its data is below ``state`` and is removed with it."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.builder = Daemon("docker-builds", state / "builds", builds=True)
        self.runner = Daemon("docker-runs", state / "runs", builds=False)

    @contextlib.contextmanager
    def running(self, daemon: Daemon) -> Iterator[Daemon]:
        """Run a daemon while the body runs, in the existing machine or in a new one.

        Raises:
            TestbedError: no such rights, or it did not get ready.
        """
        machine = machines.find(DOCKER, state=self.state)
        if machine is not None and machine.alive:
            with self._started(daemon, machine):
                yield daemon
            return
        # Left by a crash.
        self.end()
        try:
            machine = machines.start(DOCKER, state=self.state)
            machines.make_cgroups(DOCKER)
            with self._started(daemon, machine):
                yield daemon
        finally:
            self.end()

    def end(self) -> bool:
        """End everything and remove its data; return whether there was anything."""
        machine = machines.find(DOCKER, state=self.state)
        if machine is not None:
            machines.end(machine)
        machines.remove_state(self.state)
        return machine is not None

    @contextlib.contextmanager
    def _started(self, daemon: Daemon, machine: machines.Machine) -> Iterator[None]:
        processes = Processes(machine, records=self.state / "processes", logs=self.state / "logs")
        if processes.runs(daemon.name):
            raise TestbedError(
                f"{daemon.name} runs already.",
                way_out="Wait for the command that uses it; if it was killed, "
                "`python -m testbed down` ends what it left.",
            )
        daemon.write()
        processes.start(daemon.program())
        try:
            wait_until(
                daemon.answers,
                what=f"{daemon.name} to be ready",
                seconds=_READY_SECONDS,
                gave_up=lambda: processes.why_not(daemon.name),
            )
            yield
        finally:
            processes.stop(daemon.name)
