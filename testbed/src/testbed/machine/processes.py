"""The programs that run inside the machine, each with a log file and a record of its id."""

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from testbed.errors import TestbedError
from testbed.machine.machine import Machine
from testbed.machine.spawning import reap, spawn
from testbed.waiting import wait_until

_END_SECONDS = 30.0
_TAIL_LINES = 15


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to run inside; ``network``: in the machine's network, else in the computer's."""

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str] = field(default_factory=dict)
    network: bool = True


class Processes:
    """The running programs of one machine, recorded in files, so that any command can find them."""

    def __init__(self, machine: Machine, *, records: Path, logs: Path) -> None:
        self._machine = machine
        self._records = records
        self._logs = logs

    def start(self, program: Program) -> None:
        """Start a program; its output is appended to its log file."""
        self._records.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        entering = spawn(
            [*self._machine.inside(network=program.network), *program.command],
            log=self.log_file(program.name),
            environment={**_environment(), **program.environment},
        )
        self._record(program.name).write_text(str(entering), "ascii")
        wait_until(
            lambda: reap(entering) or self.runs(program.name),
            what=f"The start of {program.name}",
            seconds=_END_SECONDS,
        )

    def runs(self, name: str) -> bool:
        """Whether the program of that name runs."""
        return self._program_pid(name) is not None

    def why_not(self, name: str) -> str | None:
        """Return the last lines of a program that has ended; None: it runs."""
        return None if self.runs(name) else "\n".join([f"{name} has ended:", *self.tail(name)])

    def stop(self, name: str) -> None:
        """SIGTERM, and wait for the end."""
        self._end(name, signal.SIGTERM)

    def kill(self, name: str) -> None:
        """SIGKILL, and wait for the end."""
        self._end(name, signal.SIGKILL)

    def names(self) -> list[str]:
        """Return the names of all programs that were started."""
        return sorted(record.name for record in self._records.glob("*"))

    def log_file(self, name: str) -> Path:
        """Return the path of a program's log."""
        return self._logs / f"{name}.log"

    def tail(self, name: str) -> list[str]:
        """Return a program's last lines."""
        return self.log_file(name).read_text("utf-8", "replace").splitlines()[-_TAIL_LINES:]

    def _end(self, name: str, number: signal.Signals) -> None:
        pid = self._program_pid(name)
        if pid is None:
            return
        os.kill(pid, number)
        wait_until(lambda: not self.runs(name), what=f"The end of {name}", seconds=_END_SECONDS)

    def _record(self, name: str) -> Path:
        return self._records / name

    def _program_pid(self, name: str) -> int | None:
        """Return the program's id on the computer: it is the only child of its `nsenter`."""
        try:
            outer = int(self._record(name).read_text("ascii"))
            reap(outer)
            children = Path(f"/proc/{outer}/task/{outer}/children").read_text("ascii").split()
            command = Path(f"/proc/{outer}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            return None
        if command[:3] != [b"nsenter", b"--target", str(self._machine.pid).encode()]:
            return None
        return int(children[0]) if children else None


def _environment() -> dict[str, str]:
    path = os.environ.get("PATH", "")
    # Go programs: trade memory for processor time.
    return {**os.environ, "PATH": f"{path}:/usr/local/sbin:/usr/sbin:/sbin", "GOGC": "400"}


def require_running(processes: Processes, name: str) -> None:
    """Raise TestbedError if the program has ended."""
    reason = processes.why_not(name)
    if reason is not None:
        raise TestbedError(reason)
