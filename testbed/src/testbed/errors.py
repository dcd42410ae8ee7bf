"""Errors, worded so that the user knows what to do."""


class TestbedError(Exception):
    """The testbed cannot go on; ``way_out`` says what the user can do about it."""

    # Its name starts with Test: keep pytest from collecting it.
    __test__ = False

    def __init__(self, what: str, *, way_out: str = "") -> None:
        super().__init__(f"{what}\n{way_out}" if way_out else what)


class Terminated(KeyboardInterrupt):
    """This process got SIGTERM or SIGHUP; first it has to stop what it started."""
