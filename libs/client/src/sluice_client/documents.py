"""Writes what is sent, and refuses at once what could never be accepted."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from sluice_client.errors import InvalidRequestError
from sluice_contracts.http_documents import HttpProblem
from sluice_contracts.ids import RunKey, is_run_id, is_tenant
from sluice_contracts.problems import FieldError, ProblemType, field_errors, problem
from sluice_contracts.requests import Command, CommandType, RunRequest, read_request
from sluice_contracts.requests import InvalidRequestError as InvalidDocumentError

__all__ = ["checked", "command_body", "command_request", "encoded", "problem_of", "run_request"]


def encoded(document: Mapping[str, Any]) -> bytes:
    """Return the document as JSON.

    Raises:
        InvalidRequestError: it has a value that JSON does not have, such as NaN.
    """
    try:
        return json.dumps(document, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError):
        raise _invalid(FieldError(pointer="", detail="Has a value that JSON lacks.")) from None


def run_request(members: Mapping[str, Any]) -> RunRequest:
    """Return a request for a run with these members; those that are None are left out.

    Raises:
        InvalidRequestError: it is not valid.
    """
    said = {name: value for name, value in members.items() if value is not None}
    try:
        return RunRequest.model_validate(said)
    except ValidationError as e:
        raise _invalid(*field_errors(e)) from None


def checked(key: RunKey) -> RunKey:
    """Return the key of a run that may exist.

    Raises:
        InvalidRequestError: it can be none.
    """
    if not is_run_id(key.run_id):
        raise _invalid(
            FieldError(pointer="/id", detail="Must be 1 to 128 letters, digits, '.', '_' and '-'.")
        )
    if not is_tenant(key.tenant):
        raise _invalid(FieldError(pointer="/tenant", detail="Must be a DNS label."))
    return key


def command_request(command: CommandType, key: RunKey, members: Mapping[str, Any]) -> Command:
    """Return the command to a run; members that are None are left out.

    Raises:
        InvalidRequestError: it is not valid.
    """
    said = {name: value for name, value in members.items() if value not in (None, {}, False)}
    try:
        request = read_request({**said, "type": command, "id": key.run_id, "tenant": key.tenant})
    except InvalidDocumentError as e:
        raise _invalid(*e.errors) from None
    if not isinstance(request, Command):
        raise _invalid(FieldError(pointer="/type", detail="Must be a command."))
    return request


def command_body(**members: object) -> bytes | None:
    """Return the body of a command with the members that say something, None without any."""
    said = {name: value for name, value in members.items() if value not in (None, {}, False)}
    return encoded(said) if said else None


def problem_of(kind: ProblemType, detail: str, *errors: FieldError) -> HttpProblem:
    """Return a problem that the client has found itself."""
    return HttpProblem.model_validate(problem(kind, detail, errors=errors).model_dump())


def _invalid(*errors: FieldError) -> InvalidRequestError:
    detail = "The request is not valid; nothing was sent."
    return InvalidRequestError(problem_of(ProblemType.INVALID_REQUEST, detail, *errors))
