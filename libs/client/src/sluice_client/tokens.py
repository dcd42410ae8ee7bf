"""Where the bearer token comes from: a text, a file that is replaced, or a function."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

from sluice_client.errors import TokenFileError

__all__ = ["Token", "TokenSource"]

Token: TypeAlias = str | Path | Callable[[], Awaitable[str]]
"""A token; a file that has it, read again when it has changed; or what returns one when awaited.

Kubernetes replaces the file of a projected token before the token expires. A function is called for
every request, so it should keep the token while it is valid.
"""


class TokenSource:
    """Gives the token of the next request."""

    def __init__(self, token: Token | None) -> None:
        self._token = token
        self._read: tuple[object, str] | None = None

    def __repr__(self) -> str:
        """Never show a token."""
        return "<TokenSource>"

    async def current(self) -> str | None:
        """Return the token, None if there is none.

        Raises:
            TokenFileError: the file cannot be read, or holds no token.
        """
        match self._token:
            case None:
                return None
            case str() as token:
                return token.strip()
            case Path() as file:
                return self._of_file(file)
            case function:
                return (await function()).strip()

    def _of_file(self, file: Path) -> str:
        try:
            found = file.stat()
            version = (found.st_ino, found.st_mtime_ns, found.st_size)
            if self._read is None or self._read[0] != version:
                self._read = version, file.read_text("utf-8").strip()
        except OSError as e:
            raise TokenFileError(f"The token cannot be read from {file}: {e.strerror}.") from e
        except UnicodeDecodeError:
            # Its own message, and the cause, would repeat a part of the file.
            raise TokenFileError(f"The token cannot be read from {file}: not UTF-8.") from None
        token = self._read[1]
        if not token or not token.isprintable():
            # More than a line could not be sent in a header.
            raise TokenFileError(f"The file {file} must hold a token: one line of printable text.")
        return token
