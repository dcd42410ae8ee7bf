"""Reads a small document that may be missing, as of a command or a control."""

from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, JsonValue, ValidationError

from sluice_contracts.problems import field_errors
from sluice_contracts.requests import InvalidRequestError
from sluice_gateway.handlers.app_keys import LOOP_SHARE
from sluice_gateway.handlers.client_address import client_address
from sluice_gateway.handlers.run_requests import Steps, document_problems, read_body, read_in_steps

__all__ = ["read_optional_body"]

M = TypeVar("M", bound=BaseModel)


async def read_optional_body(request: web.Request, pieces: list[bytes], model: type[M]) -> M:
    """Read the body; without one, the model is made of nothing.

    Raises:
        ProblemError: TOO_LARGE, MALFORMED_JSON or INVALID_REQUEST.
    """
    return await read_in_steps(
        _steps(pieces, model),
        pieces,
        peer=client_address(request),
        loop_share=request.app[LOOP_SHARE],
    )


def _steps(pieces: list[bytes], model: type[M]) -> Steps[M]:
    document: JsonValue = (yield from read_body(pieces)) if pieces else {}
    yield
    with document_problems():
        try:
            return model.model_validate(document)
        except ValidationError as e:
            raise InvalidRequestError(field_errors(e)) from e
