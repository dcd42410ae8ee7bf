"""Runs a process under the memory limit of its chart, like a node of Kubernetes.

The limit is a cgroup without swap: a process that uses more is killed. Without a cgroup,
`--memory-limit=peak` measures the peak and compares it instead; there is no automatic fallback.
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
# The shell becomes the program, so that all its memory is charged to the cgroup.
_ENTER = 'echo $$ > "$0" && exec "$@"'

FIGURES: pytest.StashKey[list[str]] = pytest.StashKey()
"""Lines with measurements; printed after the tests."""


class NoCgroupError(Exception):
    """A cgroup for memory cannot be created here; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Cgroup:
    """A cgroup that limits memory; `version` of the kernel's interface is 1 or 2."""

    folder: Path
    version: int

    def launcher(self) -> list[str]:
        """Return the prefix of a command that makes it run in this cgroup from its start."""
        return ["sh", "-c", _ENTER, str(self.folder / "cgroup.procs")]

    def kills(self) -> int:
        """Return the number of processes that were killed here for their memory."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        fields = dict(line.split() for line in self._read(name).splitlines())
        return int(fields["oom_kill"])

    def socket_bytes(self) -> int:
        """Return the peak of TCP's buffers if the limit does not count them (version 1)."""
        if self.version == 2:
            return 0
        return int(self._read("memory.kmem.tcp.max_usage_in_bytes"))

    def _read(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="ascii")


@dataclass(frozen=True, kw_only=True)
class MemoryLimit:
    """The limit in bytes, and the cgroup that enforces it; None: the peak is measured."""

    most: int
    cgroup: Cgroup | None

    @property
    def how(self) -> str:
        """The way in which the limit is enforced."""
        return f"cgroup v{self.cgroup.version}" if self.cgroup else "peak measured, not enforced"

    def launcher(self) -> Sequence[str]:
        """Return the prefix of a command that makes it run under the limit."""
        return self.cgroup.launcher() if self.cgroup else []

    def taken(self, peak: int) -> int:
        """Return the bytes that count against the limit, for the peak of the process itself."""
        return peak + (self.cgroup.socket_bytes() if self.cgroup else 0)

    def breach(self, *, peak: int) -> str | None:
        """Return how the limit was broken, or None; `peak` is from `peak_bytes`."""
        allowed = f"the chart allows {self.most // MEBIBYTE} MiB ({self.how})"
        if self.cgroup and self.cgroup.kills():
            return f"killed for its memory, last seen at {peak // MEBIBYTE} MiB; {allowed}"
        if (taken := self.taken(peak)) > self.most:
            return f"used {taken // MEBIBYTE} MiB, including socket buffers; {allowed}"
        return None


def peak_bytes(pid: int) -> int:
    """Return the peak memory of a process (VmHWM); 0 after its end."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    return 0


def chart_memory_limit(service: str) -> int:
    """Return the memory limit of a service's pod in the chart's values, in bytes."""
    values = yaml.safe_load(_VALUES.read_text(encoding="utf-8"))
    own = values[_CHART_NAMES.get(service, service)]
    limit = _memory_of(own) or _memory_of(values["defaults"])
    assert limit is not None, f"{_VALUES} sets no memory limit for {service}"
    return bytes_of(limit)


def bytes_of(quantity: str) -> int:
    """Return a quantity of Kubernetes, such as `512Mi`, in bytes."""
    number = quantity.rstrip("KMGi")
    return int(number) * _UNITS[quantity.removeprefix(number)]


def _memory_of(pod: Mapping[str, Any]) -> str | None:
    limit: str | None = pod.get("resources", {}).get("limits", {}).get("memory")
    return limit


@contextlib.contextmanager
def memory_limit(most: int, *, enforced: bool) -> Iterator[MemoryLimit]:
    """Yield a limit; leave the context after its processes have ended.

    Raises:
        NoCgroupError: the limit cannot be enforced here.
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
        # Version 2 counts TCP's buffers against a pod's limit. Version 1 counts them only with a
        # separate limit.
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
    """Return the folder in which a cgroup for memory can be created, and the version."""
    lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    own = {controllers: path for _, controllers, path in (line.split(":", 2) for line in lines)}
    root = Path("/sys/fs/cgroup")
    if "memory" in own:
        mine = root / "memory" / own["memory"].lstrip("/")
        return (mine if mine.is_dir() else root / "memory"), 1
    if "" in own and (root / "cgroup.controllers").is_file():
        # A cgroup with processes cannot have children, unless it is the root; so use a parent.
        mine = root / own[""].lstrip("/")
        for folder in (mine, *mine.parents):
            control = folder / "cgroup.subtree_control"
            if control.is_file() and "memory" in control.read_text(encoding="ascii").split():
                return folder, 2
    raise NoCgroupError("no parent cgroup has the memory controller")


@contextlib.contextmanager
def chart_limits(
    services: Sequence[str], *, config: pytest.Config
) -> Iterator[dict[str, MemoryLimit]]:
    """Yield the chart's limits of some services, enforced as `--memory-limit` says."""
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
    """Add the option that measures the memory instead, which does not need root."""
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
    """Print the measurements of all tests, also of passed ones."""
    if figures := config.stash.get(FIGURES, None):
        terminalreporter.section("memory and /livez under attack")
        for figure in figures:
            terminalreporter.write_line(figure)
