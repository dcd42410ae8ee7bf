"""Reads what a body asks for: nothing that could be read in two ways, and much of it in steps."""

from collections.abc import Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, TypeVar

from pydantic import JsonValue

from sluice_contracts import strict_json
from sluice_contracts.cloudevents import Envelope, MalformedEventError, open_structured
from sluice_contracts.fingerprints import RunContent
from sluice_contracts.ids import derive_run_id
from sluice_contracts.problems import FieldError, ProblemType
from sluice_contracts.requests import Command, InvalidRequestError, RunRequest, read_request
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.services.loop_share import LoopShare

__all__ = [
    "ReadRequest",
    "Steps",
    "document_problems",
    "open_event",
    "read_body",
    "read_in_steps",
    "read_run_event",
    "read_run_request",
    "run_in_data",
]

# So many bytes are read within some 3 ms, whatever they hold.
_SMALL: Final = 8 * 1024

T = TypeVar("T")

Steps = Generator[None, None, T]
"""Work in steps of some milliseconds each, for the worst body that is allowed."""


@dataclass(frozen=True, kw_only=True)
class ReadRequest:
    """A request for a run, what it asks for in canonical JSON, and the id of its CloudEvent."""

    request: RunRequest
    content: RunContent
    derived_id: str | None


async def read_run_request(
    pieces: list[bytes],
    *,
    peer: str,
    loop_share: LoopShare,
    envelope: Envelope | None = None,
) -> ReadRequest:
    """Read a request for a run; `envelope` is that of a CloudEvent in binary mode.

    Raises:
        ProblemError: TOO_LARGE, MALFORMED_JSON or INVALID_REQUEST.
    """
    return await read_in_steps(_run(pieces, envelope), pieces, peer=peer, loop_share=loop_share)


async def read_run_event(pieces: list[bytes], *, peer: str, loop_share: LoopShare) -> ReadRequest:
    """Read the request for a run in a CloudEvent in structured mode.

    Raises:
        ProblemError: TOO_LARGE, MALFORMED_JSON, MALFORMED_EVENT or INVALID_REQUEST.
    """
    return await read_in_steps(_event(pieces), pieces, peer=peer, loop_share=loop_share)


async def read_in_steps(
    steps: Steps[T], pieces: list[bytes], *, peer: str, loop_share: LoopShare
) -> T:
    """Read a body of the peer's; large ones one at a time, while others are served.

    The steps empty `pieces`, so that the body is held once.

    Raises:
        ProblemError: as the steps.
    """
    if sum(map(len, pieces)) > _SMALL:
        return await loop_share.run(peer, steps)
    return _at_once(steps)


def _run(pieces: list[bytes], envelope: Envelope | None) -> Steps[ReadRequest]:
    document = yield from read_body(pieces)
    yield
    return (yield from _run_in(document, envelope))


def _event(pieces: list[bytes]) -> Steps[ReadRequest]:
    event = yield from read_body(pieces)
    yield
    data, envelope = open_event(event)
    return (yield from run_in_data(data, envelope))


def open_event(event: JsonValue) -> tuple[JsonValue | bytes, Envelope]:
    """Return the data of a parsed CloudEvent, and its envelope; see `open_structured`.

    Raises:
        ProblemError: MALFORMED_EVENT.
    """
    with document_problems():
        return open_structured(event)


def run_in_data(data: JsonValue | bytes, envelope: Envelope | None) -> Steps[ReadRequest]:
    """Return the request for a run that the data are; bytes are parsed first.

    Raises:
        ProblemError: TOO_LARGE, MALFORMED_JSON or INVALID_REQUEST.
    """
    document = (yield from read_body([data])) if isinstance(data, bytes) else data
    return (yield from _run_in(document, envelope))


def read_body(pieces: list[bytes]) -> Steps[JsonValue]:
    """Parse a body, and empty `pieces`.

    Raises:
        ProblemError: TOO_LARGE or MALFORMED_JSON.
    """
    with document_problems():
        body = b"".join(pieces)
        pieces.clear()
        yield
        bounded = strict_json.bounded(body)
        del body
        yield
        return bounded.parse()


def _run_in(document: JsonValue, envelope: Envelope | None) -> Steps[ReadRequest]:
    """Return the request for a run that the document is.

    Raises:
        ProblemError: INVALID_REQUEST.
    """
    request = _run_request(document)
    yield
    return ReadRequest(
        request=request,
        content=request.content(),
        derived_id=derive_run_id(envelope.source, envelope.id) if envelope else None,
    )


def document_problems() -> AbstractContextManager[None]:
    """Raise what a body breaks as a problem.

    Raises:
        ProblemError: TOO_LARGE, MALFORMED_JSON, MALFORMED_EVENT or INVALID_REQUEST.
    """
    return _DOCUMENT_PROBLEMS


class _DocumentProblems:
    # A class, because a generator takes three times as long.
    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        match error:
            case strict_json.OversizedJsonError():
                raise ProblemError.of(ProblemType.TOO_LARGE, str(error)) from error
            case strict_json.MalformedJsonError():
                raise ProblemError.of(ProblemType.MALFORMED_JSON, str(error)) from error
            case MalformedEventError():
                raise ProblemError.of(ProblemType.MALFORMED_EVENT, str(error)) from error
            case InvalidRequestError():
                raise ProblemError.of(
                    ProblemType.INVALID_REQUEST,
                    "The document is not a valid request.",
                    errors=error.errors,
                ) from error


_DOCUMENT_PROBLEMS: Final = _DocumentProblems()


def _at_once(steps: Steps[T]) -> T:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            read: T = end.value
            return read


def _run_request(document: JsonValue) -> RunRequest:
    with document_problems():
        asked = read_request(document)
    if isinstance(asked, Command):
        raise ProblemError.of(
            ProblemType.INVALID_REQUEST,
            f"Commands are not taken here; POST this one to /v1/runs/{asked.id}/{asked.type}.",
            errors=(FieldError(pointer="/type", detail="Must be run."),),
        )
    return asked
