"""Holds a process to the memory limit of its chart, as a node of Kubernetes does.

The limit is a cgroup without swap: a process that takes more is killed. Where no cgroup can be
made, ``--memory-limit=peak`` has the peak measured and compared instead; nothing falls back to that
by itself.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.engines import skip
from tests.support.kafka import unique_name

MEBIBYTE = 1024 * 1024

_VALUES = Path("helm/sluice/values.yaml")
_CHART_NAMES = {"status-watcher": "statusWatcher"}
_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "": 1}
# The shell becomes the program, so that not a byte of it is charged elsewhere.
_ENTER = 'echo $$ > "$0" && exec "$@"'

FIGURES: pytest.StashKey[list[str]] = pytest.StashKey()
"""What was measured, a line each; printed after the tests."""


class NoCgroupError(Exception):
    """This machine lets nobody make a cgroup for memory here; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Cgroup:
    """A cgroup that limits memory; ``version`` of the kernel's interface is 1 or 2."""

    folder: Path
    version: int

    def launcher(self) -> list[str]:
        """Give what to put before a command, so that it runs in here from its first byte."""
        return ["sh", "-c", _ENTER, str(self.folder / "cgroup.procs")]

    def kills(self) -> int:
        """Count the processes that were killed in here for taking too much."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        fields = dict(line.split() for line in self._read(name).splitlines())
        return int(fields["oom_kill"])

    def socket_bytes(self) -> int:
        """Give the peak of TCP's buffers, as far as the limit does not count them: version 1."""
        if self.version == 2:
            return 0
        return int(self._read("memory.kmem.tcp.max_usage_in_bytes"))

    def _read(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="ascii")


@dataclass(frozen=True, kw_only=True)
class MemoryLimit:
    """How many bytes a process may take, and the cgroup that sees to it; None: it is measured."""

    most: int
    cgroup: Cgroup | None

    @property
    def how(self) -> str:
        """Say who sees to it."""
        return f"cgroup v{self.cgroup.version}" if self.cgroup else "peak measured, not enforced"

    def launcher(self) -> Sequence[str]:
        """Give what to put before a command, so that it runs under the limit."""
        return self.cgroup.launcher() if self.cgroup else []

    def taken(self, peak: int) -> int:
        """Give the bytes that count against the limit, given the peak of the process' own."""
        return peak + (self.cgroup.socket_bytes() if self.cgroup else 0)

    def breach(self, *, peak: int) -> str | None:
        """Say how the limit was broken; None if it was not. ``peak`` as of ``peak_bytes``."""
        allowed = f"the chart allows {self.most // MEBIBYTE} MiB ({self.how})"
        if self.cgroup and self.cgroup.kills():
            return f"killed for its memory, last seen at {peak // MEBIBYTE} MiB; {allowed}"
        if (taken := self.taken(peak)) > self.most:
            return f"took {taken // MEBIBYTE} MiB, buffers of sockets included; {allowed}"
        return None


def peak_bytes(pid: int) -> int:
    """Give the most memory that a process has had at a time (VmHWM); 0 once it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    return 0


def chart_memory_limit(service: str) -> int:
    """Give the bytes that a pod of a service may take, by the chart's own values."""
    values = yaml.safe_load(_VALUES.read_text(encoding="utf-8"))
    own = values[_CHART_NAMES.get(service, service)]
    limit = _memory_of(own) or _memory_of(values["defaults"])
    assert limit is not None, f"{_VALUES} sets no memory limit for {service}"
    return bytes_of(limit)


def bytes_of(quantity: str) -> int:
    """Read a quantity of Kubernetes, such as ``512Mi``."""
    number = quantity.rstrip("KMGi")
    return int(number) * _UNITS[quantity.removeprefix(number)]


def _memory_of(pod: Mapping[str, Any]) -> str | None:
    limit: str | None = pod.get("resources", {}).get("limits", {}).get("memory")
    return limit


@contextlib.contextmanager
def memory_limit(most: int, *, enforced: bool) -> Iterator[MemoryLimit]:
    """Make a limit, to be left when what ran under it has ended.

    Raises:
        NoCgroupError: it is to be enforced, and cannot be here.
    """
    if not enforced:
        yield MemoryLimit(most=most, cgroup=None)
        return
    cgroup = _make_cgroup(most)
    try:
        yield MemoryLimit(most=most, cgroup=cgroup)
    finally:
        cgroup.folder.rmdir()


def _make_cgroup(most: int) -> Cgroup:
    parent, version = _parent()
    folder = parent / unique_name("sluice-bounds")
    try:
        folder.mkdir()
    except OSError as e:
        raise NoCgroupError(f"{folder}: {e.strerror}; are you root?") from e
    if version == 2:
        limits = {"memory.max": most, "memory.swap.max": 0}
    else:
        # TCP's buffers count against a pod's limit under version 2. Here they do so only with a
        # limit of their own; without one, they are not even counted.
        limits = {
            "memory.limit_in_bytes": most,
            "memory.memsw.limit_in_bytes": most,
            "memory.kmem.tcp.limit_in_bytes": most,
        }
    for name, value in limits.items():
        # A kernel that does not count swap has no file for it.
        if (folder / name).exists():
            (folder / name).write_text(str(value), encoding="ascii")
    return Cgroup(folder=folder, version=version)


def _parent() -> tuple[Path, int]:
    """Find where a cgroup for memory can be made: (folder, version of the interface)."""
    lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    own = {controllers: path for _, controllers, path in (line.split(":", 2) for line in lines)}
    root = Path("/sys/fs/cgroup")
    if "memory" in own:
        mine = root / "memory" / own["memory"].lstrip("/")
        return (mine if mine.is_dir() else root / "memory"), 1
    if "" in own and (root / "cgroup.controllers").is_file():
        # A cgroup with processes in it hands none out, unless it is the root: so beside our own.
        mine = root / own[""].lstrip("/")
        for folder in (mine, *mine.parents):
            control = folder / "cgroup.subtree_control"
            if control.is_file() and "memory" in control.read_text(encoding="ascii").split():
                return folder, 2
    raise NoCgroupError("no cgroup around here hands out memory")


@contextlib.contextmanager
def chart_limits(
    services: Sequence[str], *, config: pytest.Config
) -> Iterator[dict[str, MemoryLimit]]:
    """Make the limits of some services as the chart sets them, enforced as pytest was told."""
    enforced = config.getoption("--memory-limit") == "cgroup"
    with contextlib.ExitStack() as stack:
        try:
            limits = {
                service: stack.enter_context(
                    memory_limit(chart_memory_limit(service), enforced=enforced)
                )
                for service in services
            }
        except NoCgroupError as e:
            skip(f"cannot limit memory: {e} (--memory-limit=peak measures it instead)")
        yield limits


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a person without root have the memory measured."""
    parser.addoption(
        "--memory-limit",
        choices=["cgroup", "peak"],
        default="cgroup",
        help="hold services to their chart's limit by a cgroup (the default; needs root), or "
        "measure their peak and compare",
    )


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print what was measured, also of tests that passed."""
    if figures := config.stash.get(FIGURES, None):
        terminalreporter.section("memory and /livez under attack")
        for figure in figures:
            terminalreporter.write_line(figure)
