"""Steps that outlived an engine that was killed."""

import contextlib
import os
import signal
from pathlib import Path

from sluice_engine.steps.folders import MARK

__all__ = ["kill_orphans"]


def kill_orphans(mark: str) -> int:
    """Kill the processes that an earlier engine started for a data folder; return how many.

    They are known by a variable in their environment, which Linux shows below /proc. On other
    systems they run to their end; each run of a step has its own folder, so they do no harm.
    """
    wanted = f"{MARK}={mark}".encode()
    killed = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        pid = int(process.name)
        if wanted in environment.split(b"\0") and pid != os.getpid():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
    return killed
