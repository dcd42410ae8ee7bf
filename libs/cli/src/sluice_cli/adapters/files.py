"""Files that commands read and write."""

import os
import sys
import tempfile
from pathlib import Path

from sluice_cli.domain.parameters import STDIN
from sluice_cli.domain.usage import UsageError

__all__ = ["read_if_there", "read_text", "replace_text"]


def read_text(name: str) -> str:
    """Return the text of a file, byte for byte; `-` is standard input.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    content = sys.stdin.buffer.read() if name == STDIN else Path(name).expanduser().read_bytes()
    return content.decode("utf-8")


def read_if_there(file: Path) -> str:
    """Return the text of a file, empty if there is none.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"{file} cannot be read: {e}.") from None


def replace_text(file: Path, text: str) -> None:
    """Write the text to a file, so that a reader finds the old one or the new one whole.

    Raises:
        UsageError: it cannot be written.
    """
    target = file.resolve()
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=target.parent, prefix=f".{target.name}.", delete=False
        ) as written:
            written.write(text)
            written.flush()
            os.fsync(written.fileno())
        new = Path(written.name)
        # A new file is for everybody who may read the folder: it has no secret.
        new.chmod(target.stat().st_mode if target.exists() else 0o644)
        new.replace(target)
    except OSError as e:
        raise UsageError(f"{file} cannot be written: {e}.") from None
