"""Child processes: their lines, their end, and the end of their parent."""

import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sluice_local.processes import ChildProcess

pytestmark = pytest.mark.integration

WAITING = "import signal; print('waiting', flush=True); signal.pause()"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAITING}"


class Lines:
    """Collects lines from the reader's thread and lets a test wait for one."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._changed = threading.Condition()

    def __call__(self, line: str) -> None:
        with self._changed:
            self.seen.append(line)
            self._changed.notify_all()

    def wait_for(self, line: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: line in self.seen, timeout=30), self.seen


def python(code: str, tmp_path: Path, *, on_line: Lines | None = None) -> ChildProcess:
    command = [sys.executable, "-c", code]
    return ChildProcess("child", command, log_path=tmp_path / "logs/child.log", on_line=on_line)


def test_the_last_lines_are_known_at_the_end(tmp_path: Path) -> None:
    code = "import sys; [print(n, flush=True) for n in range(100)]; sys.exit('b\\u00e4h')"
    child = python(code, tmp_path)
    assert child.exited.result(timeout=30) == 1
    assert child.tail()[-2:] == ["99", "bäh"]
    assert len((tmp_path / "logs/child.log").read_text("utf-8").splitlines()) == 101


def test_stop_sends_sigterm(tmp_path: Path) -> None:
    lines = Lines()
    child = python(WAITING, tmp_path, on_line=lines)
    lines.wait_for("waiting")
    assert child.running
    assert child.stop(grace_seconds=30)
    assert child.exited.result() == -signal.SIGTERM
    assert not child.running


def test_stop_kills_a_process_that_ignores_sigterm(tmp_path: Path) -> None:
    lines = Lines()
    child = python(DEAF, tmp_path, on_line=lines)
    lines.wait_for("waiting")
    assert not child.stop(grace_seconds=0.1)
    assert child.exited.result() == -signal.SIGKILL


def test_the_terminals_signals_do_not_reach_it(tmp_path: Path) -> None:
    lines = Lines()
    child = python(WAITING, tmp_path, on_line=lines)
    lines.wait_for("waiting")
    try:
        assert os.getpgid(child.pid) == child.pid
        assert os.getsid(child.pid) == child.pid
    finally:
        child.kill()


def test_a_missing_program_ends_with_an_error(tmp_path: Path) -> None:
    child = ChildProcess("x", ["/no/such/program"], log_path=tmp_path / "x.log")
    assert child.exited.result(timeout=30) == 1
    assert "No such file or directory" in child.tail()[-1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can end a child with its parent")
def test_a_killed_parent_kills_it(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from sluice_local.processes import ChildProcess\n"
        f"child = ChildProcess('c', [sys.executable, '-c', {DEAF!r}], log_path=Path(sys.argv[1]))\n"
        "print(child.pid, flush=True); child.exited.result()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        watched = os.pidfd_open(child)
        try:
            parent.kill()
            readable, _, _ = select.select([watched], [], [], 30)
        finally:
            os.close(watched)
    assert readable, "the child outlived its parent"
