"""Wait for a condition; the error names it."""

import time
from collections.abc import Callable

from testbed.errors import TestbedError

_STEP_SECONDS = 0.1


def wait_until(
    holds: Callable[[], bool],
    *,
    what: str,
    seconds: float,
    every: float = _STEP_SECONDS,
    gave_up: Callable[[], str | None] = lambda: None,
) -> None:
    """Return once ``holds()`` does; ``gave_up()`` returns why it never will.

    ``every``: seconds between looks, for those that are dear.

    Raises:
        TestbedError: it did not in time, or never will.
    """
    until = time.monotonic() + seconds
    while not holds():
        reason = gave_up()
        if reason is not None:
            raise TestbedError(f"{what}: {reason}")
        if time.monotonic() > until:
            raise TestbedError(f"{what}: not within {seconds:.0f} s.")
        time.sleep(every)
