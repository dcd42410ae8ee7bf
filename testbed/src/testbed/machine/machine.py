"""Start the machine, enter it, end it."""

import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.building.commands import run
from testbed.errors import TestbedError
from testbed.machine import init
from testbed.machine.addresses import LINK_BITS, Place
from testbed.machine.spawning import reap, spawn
from testbed.waiting import wait_until

_CGROUPS = Path("/sys/fs/cgroup")
_SECONDS = 60.0


@dataclass(frozen=True)
class Machine:
    """A running machine, identified by its keeper: the process on the computer that it ends with.

    ``birth`` distinguishes the keeper from a later process with its id.
    """

    place: Place
    keeper: int
    birth: str

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return _birth(self.keeper) == self.birth

    @property
    def pid(self) -> int:
        """The id of its first process, as seen from the computer.

        Raises:
            TestbedError: it has ended.
        """
        children = _children(self.keeper)
        if not self.alive or not children:
            raise TestbedError(f"The machine {self.place.name} has ended.")
        return children[0]

    def inside(self, *, network: bool = True) -> list[str]:
        """Return the prefix of a command that runs inside, with or without its network."""
        spaces = ["--mount", "--pid", *(["--net"] if network else [])]
        return ["nsenter", "--target", str(self.pid), *spaces, "--"]

    def run(self, command: Sequence[str | Path], *, stdin: str | None = None) -> str:
        """Run a command inside, to its end.

        Raises:
            TestbedError: it failed.
        """
        return run([*self.inside(), *command], stdin=stdin)


def start(place: Place, *, state: Path) -> Machine:
    """Start a machine whose record lies in ``state``.

    Raises:
        TestbedError: no such rights, or its network collides with the computer's.
    """
    state.mkdir(parents=True, exist_ok=True)
    _require_free_network(place)
    log = state / "machine.log"
    keeper = spawn(
        [
            *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"),
            *("--mount-proc", "--propagation", "private"),
            *(sys.executable, init.__file__, state),
        ],
        log=log,
    )
    machine = Machine(place, keeper, _birth(keeper) or "")
    # From now on, `down` can find it.
    _record(state).write_text(json.dumps([machine.keeper, machine.birth]), "ascii")

    def failure() -> str | None:
        if not reap(keeper):
            return None
        return log.read_text("utf-8").strip() or "it ended at once"

    try:
        wait_until((state / init.READY).exists, what="A machine", seconds=_SECONDS, gave_up=failure)
        _connect(machine)
    except BaseException:
        end(machine)
        raise
    return machine


def find(place: Place, *, state: Path) -> Machine | None:
    """Return the machine whose record lies in ``state``, dead or alive."""
    try:
        keeper, birth = json.loads(_record(state).read_text("ascii"))
    except FileNotFoundError:
        return None
    return Machine(place, keeper, birth)


def end(machine: Machine) -> None:
    """Stop the machine and all in it, and wait until nothing is left; it may have ended already."""
    # A process that entered it is a child of an `nsenter` on the computer, which ends with it.
    if machine.alive:
        inside = {pid: _birth(pid) for pid in _children(machine.keeper)}
        os.kill(machine.keeper, signal.SIGKILL)
        wait_until(
            lambda: (
                reap(machine.keeper)
                and not any(birth and _birth(pid) == birth for pid, birth in inside.items())
            ),
            what="The end of the machine",
            seconds=_SECONDS,
        )
    wait_until(lambda: not machine.alive, what="The end of the machine", seconds=_SECONDS)
    _disconnect(machine.place)
    wait_until(
        lambda: not _link_exists(machine.place), what="The end of its network", seconds=_SECONDS
    )
    _remove_cgroups(machine.place)


def _disconnect(place: Place) -> None:
    """Remove the pair of interfaces, if the kernel has not yet.

    Connections that the dead have left open keep the network in there alive for minutes.
    """
    # The kernel may remove it at this moment.
    with contextlib.suppress(TestbedError):
        run(["ip", "link", "delete", place.link])


def _link_exists(place: Place) -> bool:
    """Whether the computer's end of the pair of interfaces is there."""
    return Path("/sys/class/net", place.link).exists()


def _record(state: Path) -> Path:
    return state / "machine.json"


def _birth(pid: int) -> str | None:
    """Return when a process started, in ticks since boot; None: there is none, or it is dead."""
    try:
        state, *fields = _fields(pid)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in "ZX" else fields[18]


def _fields(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat, from the state on."""
    return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()


def _children(pid: int) -> list[int]:
    try:
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _require_free_network(place: Place) -> None:
    if _link_exists(place):
        raise TestbedError(
            f"There is an interface {place.link} already.",
            way_out=f"If another testbed runs, `python -m testbed down` removes it. Otherwise: "
            f"`ip link delete {place.link}`.",
        )
    for network in (f"{place.machine}/{LINK_BITS}", *place.networks):
        # A route that overlaps; the default route does not count.
        inner = run(["ip", "-4", "route", "show", "root", network])
        outer = run(["ip", "-4", "route", "show", "match", network])
        routes = f"{inner}{outer}".splitlines()
        taken = next((route for route in routes if not route.startswith("default")), None)
        if taken:
            raise TestbedError(f"The network {network} is in use on this computer: {taken}")


def _connect(machine: Machine) -> None:
    """Connect the machine to the computer, and add routes to pods and Services."""
    place, link = machine.place, machine.place.link
    run(["ip", "link", "add", link, "type", "veth", "peer", "eth0", "netns", str(machine.pid)])
    run(["ip", "address", "add", f"{place.computer}/{LINK_BITS}", "dev", link])
    run(["ip", "link", "set", link, "up"])
    machine.run(["ip", "link", "set", "lo", "up"])
    machine.run(["ip", "address", "add", f"{place.machine}/{LINK_BITS}", "dev", "eth0"])
    machine.run(["ip", "link", "set", "eth0", "up"])
    machine.run(["ip", "route", "add", "default", "via", place.computer])
    for network in place.networks:
        run(["ip", "route", "add", network, "via", place.machine])


def make_cgroups(place: Place) -> None:
    """Create the cgroups of pods, which the kubelet expects."""
    for tree in cgroup_trees(_CGROUPS):
        group = tree / place.name
        group.mkdir(exist_ok=True)
        # Otherwise all pods together would get the processor time of one process.
        for weight, value in (("cpu.shares", "8192"), ("cpu.weight", "800")):
            if (group / weight).exists():
                (group / weight).write_text(value, "ascii")


def cgroup_trees(root: Path) -> list[Path]:
    """Return the roots of all cgroup trees: version 1 has one for each controller."""
    if (root / "cgroup.controllers").exists():
        return [root]
    return sorted(folder for folder in root.iterdir() if (folder / "cgroup.procs").exists())


def _remove_cgroups(place: Place) -> None:
    """Remove the cgroups that its pods were in; a cgroup is removed by rmdir, leaves first."""
    roots = [*_CGROUPS.glob(f"*/{place.name}"), *_CGROUPS.glob(place.name)]

    def removed() -> bool:
        for root in roots:
            for folder, _, _ in os.walk(root, topdown=False):
                try:
                    Path(folder).rmdir()
                except OSError:
                    return False
        return True

    wait_until(removed, what="The end of its cgroups", seconds=_SECONDS)


def remove_state(state: Path) -> None:
    """Remove its data from the disk."""
    if state.exists():
        shutil.rmtree(state)
