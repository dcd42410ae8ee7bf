"""Progress messages."""

import sys

__all__ = ["say"]


def say(line: str) -> None:
    """Write a progress line to standard error; standard output has the answer only."""
    sys.stderr.write(f"release: {line}\n")
    sys.stderr.flush()
