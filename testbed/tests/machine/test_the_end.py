"""After `down` this computer is as it was before, however the testbed and its commands ended."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from machine.computer import Computer, look
from testbed.errors import TestbedError
from testbed.folders import default_folders
from testbed.requirements import missing
from testbed.testbed import Testbed
from testbed.versions import load_versions
from testbed.waiting import wait_until
from tests.support.engines import RULES, skip

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(600)]

TESTBED = [sys.executable, "-m", "testbed"]
POD = "left-behind"


@pytest.fixture
def before() -> Iterator[Computer]:
    """How the computer is without a testbed."""
    if lacks := missing():
        skip("no testbed here: " + " ".join(lacks))
    if the_testbed().machine() is not None:
        skip("the testbed is up; `python -m testbed down` ends it")
    yield look()
    subprocess.run([*TESTBED, "down"], check=True)


def the_testbed() -> Testbed:
    return Testbed(default_folders(), load_versions(), rules=RULES)


def up_with_a_pod() -> Testbed:
    """Start everything, and a pod that would run forever."""
    subprocess.run([*TESTBED, "up"], check=True)
    testbed = the_testbed()
    kubectl = testbed.kubectl()
    kubectl("run", POD, "--image=busybox:latest", "--image-pull-policy=Never", "--port=80")
    kubectl("expose", "pod", POD)
    kubectl("wait", "pod", POD, "--for=condition=Ready", "--timeout=180s")
    return testbed


def assert_all_is_as(before: Computer) -> None:
    """Compare, once what ends has ended."""
    with contextlib.suppress(TestbedError):
        wait_until(lambda: not changes(before), what="The computer as before", seconds=20)
    assert changes(before) == {}


def changes(before: Computer) -> Computer:
    """Say what is not as before; other programs may end, and remove their files, at any time."""
    now = look()
    new = {aspect: [line for line in now[aspect] if line not in before[aspect]] for aspect in now}
    gone = {aspect: [line for line in before[aspect] if line not in now[aspect]] for aspect in now}
    gone = {aspect: lines for aspect, lines in gone.items() if aspect not in ("processes", "files")}
    return {
        f"{what} {aspect}": lines
        for what, found in (("new", new), ("gone", gone))
        for aspect, lines in found.items()
        if lines
    }


def test_down_ends_everything(before: Computer) -> None:
    up_with_a_pod()
    during = look()
    for aspect in ("processes", "interfaces", "routes", "cgroups"):
        assert during[aspect] != before[aspect], f"{aspect}: nothing to compare"
    subprocess.run([*TESTBED, "down"], check=True)
    assert_all_is_as(before)


def test_down_ends_what_a_crash_left(before: Computer) -> None:
    testbed = up_with_a_pod()
    machine = testbed.machine()
    assert machine is not None
    # The first process of the machine, as an out-of-memory killer might.
    os.kill(machine.pid, signal.SIGKILL)
    subprocess.run([*TESTBED, "down"], check=True)
    assert_all_is_as(before)


def there_is_a_machine() -> bool:
    return the_testbed().machine() is not None


def the_kubelet_runs() -> bool:
    with contextlib.suppress(TestbedError):
        return the_testbed().processes().runs("kubelet")
    return False


@pytest.mark.parametrize("moment", [there_is_a_machine, the_kubelet_runs])
def test_down_ends_what_a_killed_up_had_started(
    before: Computer, moment: Callable[[], bool]
) -> None:
    starting = subprocess.Popen([*TESTBED, "up"])
    wait_until(moment, what="The moment", seconds=120)
    starting.kill()
    starting.wait()
    subprocess.run([*TESTBED, "down"], check=True)
    assert_all_is_as(before)


def test_up_stops_what_it_started_on_sigterm(before: Computer) -> None:
    starting = subprocess.Popen([*TESTBED, "up"])
    wait_until(the_kubelet_runs, what="The kubelet", seconds=120)
    starting.terminate()
    assert starting.wait() == 130
    assert_all_is_as(before)


@contextlib.contextmanager
def docker_in_use() -> Iterator[subprocess.Popen[str]]:
    """Give a command that has a Docker of its own, once that has run a container."""
    publish = "docker run --detach --publish=8080:8080 --entrypoint=sleep sluice-gateway:dev 9999"
    with subprocess.Popen(
        [*TESTBED, "docker", "sh", "-c", f"{publish} && echo running && cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as using:
        assert using.stdin is not None
        assert using.stdout is not None
        assert "running\n" in iter(using.stdout.readline, "")
        yield using


def test_docker_goes_with_the_command_that_it_was_for(before: Computer) -> None:
    with docker_in_use() as using:
        assert look()["interfaces"] != before["interfaces"]
        assert using.stdin is not None
        using.stdin.close()
        assert using.wait() == 0
    assert_all_is_as(before)


def test_down_ends_a_docker_whose_command_was_killed(before: Computer) -> None:
    with docker_in_use() as using:
        using.kill()
    subprocess.run([*TESTBED, "down"], check=True)
    assert_all_is_as(before)
