"""Telling whoever waits."""

import sys

__all__ = ["say"]


def say(line: str) -> None:
    """Tell how far it is; standard output is for the answer alone."""
    sys.stderr.write(f"release: {line}\n")
    sys.stderr.flush()
