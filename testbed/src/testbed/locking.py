"""Only one command at a time builds, starts or stops."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from testbed.building.parts import Say


@contextlib.contextmanager
def alone(lock: Path, *, say: Say) -> Iterator[None]:
    """Run the body while no other process is in here; waits for it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("  waiting: another command of the testbed is running")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
