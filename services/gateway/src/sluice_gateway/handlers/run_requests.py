"""Reads what a body asks for: nothing that could be read in two ways, and much of it in steps."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from sluice_contracts import strict_json
from sluice_contracts.fingerprints import RunContent
from sluice_contracts.problems import FieldError, ProblemType
from sluice_contracts.requests import Command, InvalidRequestError, RunRequest, read_request
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.services.loop_share import LoopShare

__all__ = ["ReadRequest", "read_run_request"]

# So many bytes are read within some 3 ms, whatever they hold.
_SMALL: Final = 8 * 1024


@dataclass(frozen=True, kw_only=True)
class ReadRequest:
    """A request for a run, and what it asks for in canonical JSON."""

    request: RunRequest
    content: RunContent


async def read_run_request(pieces: list[bytes], *, peer: str, loop_share: LoopShare) -> ReadRequest:
    """Read a body of the peer's; large ones one at a time, while others are served.

    `pieces` is emptied, so that the body is held once.

    Raises:
        ProblemError: TOO_LARGE, MALFORMED_JSON or INVALID_REQUEST.
    """
    if sum(map(len, pieces)) > _SMALL:
        return await loop_share.run(peer, _steps(pieces))
    return _at_once(_steps(pieces))


def _steps(pieces: list[bytes]) -> Generator[None, None, ReadRequest]:
    """Each step takes some milliseconds for the worst body that is allowed."""
    try:
        body = b"".join(pieces)
        pieces.clear()
        yield
        bounded = strict_json.bounded(body)
        del body
        yield
        document = bounded.parse()
    except strict_json.OversizedJsonError as e:
        raise ProblemError.of(ProblemType.TOO_LARGE, str(e)) from e
    except strict_json.MalformedJsonError as e:
        raise ProblemError.of(ProblemType.MALFORMED_JSON, str(e)) from e
    yield
    request = _run_request(document)
    yield
    return ReadRequest(request=request, content=request.content())


def _at_once(steps: Generator[None, None, ReadRequest]) -> ReadRequest:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            read: ReadRequest = end.value
            return read


def _run_request(document: JsonValue) -> RunRequest:
    try:
        asked = read_request(document)
    except InvalidRequestError as e:
        raise ProblemError.of(
            ProblemType.INVALID_REQUEST, "The document is not a valid request.", errors=e.errors
        ) from e
    if isinstance(asked, Command):
        raise ProblemError.of(
            ProblemType.INVALID_REQUEST,
            "Commands are not taken here; write them to the request topic.",
            errors=(FieldError(pointer="/type", detail="Must be run."),),
        )
    return asked
