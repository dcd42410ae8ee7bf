"""Files whose text is a value."""

import sys
from pathlib import Path

from sluice_cli.domain.parameters import STDIN

__all__ = ["read_text"]


def read_text(name: str) -> str:
    """Return the text of a file, byte for byte; `-` is standard input.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    content = sys.stdin.buffer.read() if name == STDIN else Path(name).expanduser().read_bytes()
    return content.decode("utf-8")
