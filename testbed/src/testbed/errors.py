"""What can go wrong, said so that a person knows what to do."""


class TestbedError(Exception):
    """The testbed cannot go on; ``way_out`` says what a person can do about it."""

    # Its name starts with Test, and pytest would collect it.
    __test__ = False

    def __init__(self, what: str, *, way_out: str = "") -> None:
        super().__init__(f"{what}\n{way_out}" if way_out else what)


class Terminated(KeyboardInterrupt):
    """This process was told to end; what it has started has to end first."""
