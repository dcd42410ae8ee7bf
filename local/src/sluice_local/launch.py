"""Replaces itself with a program that is killed when its parent ends.

Run it as a file: `python -I -S launch.py PARENT_PID PROGRAM ARGUMENT...`. On Linux the kernel kills
the program as soon as the parent ends, even by SIGKILL, so that no orphan keeps a port. On other
systems the program is only started.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Request the signal, check that the parent still runs, and start the program."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != parent:
            sys.exit(f"{program[0]}: its parent process has ended")
    os.execvp(program[0], program)  # noqa: S606 (no shell is wanted)


if __name__ == "__main__":
    main()
