"""The one error that local mode shows to a person: what is wrong, and the way out."""


class LocalModeError(Exception):
    """Local mode cannot go on. ``way_out`` is a sentence that says what the reader can do."""

    def __init__(self, problem: str, *, way_out: str) -> None:
        super().__init__(f"{problem}\n{way_out}")
        self.problem = problem
        self.way_out = way_out
