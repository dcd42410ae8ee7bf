"""Clocks that tell how long a process was away."""

import time

__all__ = ["boot_time"]

_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_time() -> float:
    """Give the seconds since some moment, those of a suspended machine included.

    The event loop's clock goes on while a process is stopped (SIGSTOP), but on Linux it stands
    still while the machine is suspended: `CLOCK_BOOTTIME` of clock_gettime(2) does not. Where
    there is no such clock, it is the monotonic one.
    """
    return time.clock_gettime(_CLOCK)
