"""A clock that includes the time for which the process was stopped."""

import time

__all__ = ["boot_time"]

_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_time() -> float:
    """Return the seconds since an arbitrary moment, including those while the machine slept.

    The event loop's clock continues while a process is stopped (SIGSTOP), but on Linux not while
    the machine is suspended. `CLOCK_BOOTTIME` of clock_gettime(2) continues in both cases. Systems
    without that clock use the monotonic one.
    """
    return time.clock_gettime(_CLOCK)
