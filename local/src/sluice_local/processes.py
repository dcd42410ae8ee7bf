"""A child process: its lines are logged, its end is reported, and it ends with its parent."""

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

_LAUNCHER = Path(__file__).with_name("launch.py")
_TAIL_LINES = 25
# After the end of the process, only lines that it has already written remain to be read.
_DRAIN_SECONDS = 2.0


class ChildProcess:
    """One running program.

    Two threads serve it, one for its lines and one for its end, so that it works with and without
    an event loop. Start it on a thread that lives as long as the program should: on Linux the
    program ends with its parent's *thread*.

    `exited` is a future of the exit code (negative: the signal that ended it).
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log_path: Path,
        on_line: Callable[[str], None] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.exited: Future[int] = Future()
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._on_line = on_line
        self._log_path = log_path
        log_path.parent.mkdir(parents=True, exist_ok=True)
        launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid())]
        # In a new session, so that Ctrl-C reaches only the parent, which stops all in order.
        self._process = subprocess.Popen(  # noqa: S603 (commands are ours)
            [*launcher, *map(str, command)],
            env=None if environment is None else dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name=f"{name}-lines", daemon=True)
        self._waiter = threading.Thread(target=self._wait, name=f"{name}-end", daemon=True)
        self._reader.start()
        self._waiter.start()

    @property
    def pid(self) -> int:
        """The process id; also the id of its process group."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process has not ended yet."""
        return not self.exited.done()

    def tail(self) -> list[str]:
        """Return the last lines that it wrote."""
        return list(self._tail)

    def stop(self, *, grace_seconds: float) -> bool:
        """Send SIGTERM, and SIGKILL after the grace; return whether SIGTERM was enough."""
        self._signal(signal.SIGTERM)
        try:
            self.exited.result(timeout=grace_seconds)
        except TimeoutError:
            self.kill()
            return False
        # Other processes of its group end with it.
        self._signal_group(signal.SIGKILL)
        return True

    def kill(self) -> None:
        """Send SIGKILL to its process group, and wait for its end."""
        self._signal_group(signal.SIGKILL)
        self.exited.result()

    def _signal(self, number: signal.Signals) -> None:
        if self.running:
            self._process.send_signal(number)

    def _signal_group(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 (for the type checker)
        with (
            self._process.stdout as lines,
            self._log_path.open("a", encoding="utf-8", buffering=1) as log,
        ):
            for raw in lines:
                line = raw.rstrip("\n")
                log.write(line + "\n")
                self._tail.append(line)
                if self._on_line is not None:
                    self._on_line(line)

    def _wait(self) -> None:
        code = self._process.wait()
        # Read the last lines first, so that they are in the tail when the end is reported.
        self._reader.join(timeout=_DRAIN_SECONDS)
        self.exited.set_result(code)
