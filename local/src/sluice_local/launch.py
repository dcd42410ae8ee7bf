"""Become another program that dies with its parent.

Run as a file: ``python -I -S launch.py PARENT_PID PROGRAM ARGUMENT...``. On Linux the kernel kills
the program as soon as the parent is gone, SIGKILL included, so that no orphan keeps a port.
Elsewhere the program is just started.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask for the signal, then check that the parent did not die before that."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != parent:
            sys.exit(f"{program[0]}: the process that asked for it is gone")
    os.execvp(program[0], program)  # noqa: S606 (no shell is wanted)


if __name__ == "__main__":
    main()
