"""The error that local mode shows to the user: the problem and the remedy."""


class LocalModeError(Exception):
    """Local mode cannot continue. `remedy` is a sentence that says what the user can do."""

    def __init__(self, problem: str, *, remedy: str) -> None:
        super().__init__(f"{problem}\n{remedy}")
