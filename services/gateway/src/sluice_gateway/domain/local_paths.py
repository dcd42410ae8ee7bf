"""Paths of this site that a browser may be sent to."""

import re
from typing import Final

__all__ = ["is_local_path"]

# Browsers take "//host" and "/\host" for another host, and drop tabs and line ends.
_PATH: Final = re.compile(r"/(?![/\\])[!-\[\]-~]{0,1023}")


def is_local_path(text: str) -> bool:
    """Return whether it is a path, maybe with query and fragment, and cannot lead elsewhere."""
    return _PATH.fullmatch(text) is not None
