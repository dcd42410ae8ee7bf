"""What the client needs of HTTP: one request, one answer. The fake has one of its own."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, Protocol

__all__ = ["Answer", "BrokenError", "Call", "NotSentError", "Repeat", "StreamAnswer", "Transport"]


class Repeat(Enum):
    """When a request may be sent again."""

    ALWAYS = "always"
    """It reads, or a second one has the effect of one alone."""
    IF_NOTHING_WAS_WRITTEN = "if nothing was written"
    """A second one could have an effect of its own."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request; `wait` is for how many seconds it may be held by the server on purpose."""

    method: Literal["GET", "POST"]
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    media_type: str = "application/json"
    repeat: Repeat = Repeat.ALWAYS
    wait: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A whole answer; names of headers are found in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class StreamAnswer:
    """An answer whose body is read as it comes; reading raises `BrokenError`."""

    status: int
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]


class NotSentError(Exception):
    """There was no connection, so the server knows nothing of the request."""


class BrokenError(Exception):
    """The connection broke or was silent for too long; the request may have been carried out."""


class Transport(Protocol):
    """Sends requests, each once."""

    async def send(self, call: Call, *, token: str | None, within: float) -> Answer:
        """Return the answer to one request.

        Raises:
            NotSentError: it did not reach the server.
            BrokenError: it may have.
        """
        ...

    def stream(
        self, call: Call, *, token: str | None, within: float
    ) -> AbstractAsyncContextManager[StreamAnswer]:
        """Open a stream; `within` is for its head.

        Raises:
            NotSentError: it did not reach the server.
            BrokenError: there was no answer.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...
