"""Requests of clients: a run, or a command to an existing run."""

import re
from datetime import datetime
from typing import Annotated, Literal, Self, get_args

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
)

from sluice_contracts.fingerprints import RunContent, fingerprint, run_content
from sluice_contracts.ids import DEFAULT_TENANT, RunId, RunKey, Tenant
from sluice_contracts.labels import Labels
from sluice_contracts.problems import FieldError, field_errors

__all__ = [
    "COMMANDS",
    "Command",
    "CommandType",
    "InvalidRequestError",
    "Priority",
    "Request",
    "ResumeCommand",
    "RetryCommand",
    "Rfc3339",
    "RunRequest",
    "SimpleCommand",
    "read_request",
]

CommandType = Literal["stop", "terminate", "suspend", "resume", "retry"]
COMMANDS: tuple[CommandType, ...] = get_args(CommandType)

Priority = Literal["high", "normal", "low"]

_AnswerName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
_AnswerValue = Annotated[str, StringConstraints(max_length=64 * 1024)]

_RFC_3339 = r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)"


class InvalidRequestError(ValueError):
    """The document is not a valid request; `errors` lists the places and reasons."""

    def __init__(self, errors: tuple[FieldError, ...]) -> None:
        super().__init__("; ".join(f"{e.pointer or 'document'}: {e.detail}" for e in errors))
        self.errors = errors


def _rfc_3339(value: object) -> object:
    # By default pydantic also accepts numbers, as seconds or as milliseconds.
    match value:
        case None | datetime():
            return value
        case str() if re.fullmatch(_RFC_3339, value):
            return value
    raise ValueError("Must be a date and time with offset, as in 2026-12-01T00:00:00Z.")


Rfc3339 = Annotated[AwareDatetime, BeforeValidator(_rfc_3339)]
"""A date and time with offset, written as RFC 3339 says."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class RunRequest(_Message):
    """A request for one run of a catalogue entry."""

    type: Annotated[Literal["run"], Field(description="The kind of request.")] = "run"
    id: Annotated[
        RunId | None,
        Field(
            description="Identifies the run. The same id with the same content is the same run. "
            "Without an id, the record's key is used if it is a valid id; otherwise an id is "
            "derived."
        ),
    ] = None
    workflow: Annotated[
        str, Field(min_length=1, max_length=63, description="The catalogue entry to run.")
    ]
    parameters: Annotated[
        dict[str, JsonValue], Field(description="Values of the entry's declared parameters.")
    ] = {}
    tenant: Annotated[Tenant, Field(description="Who the run belongs to.")] = DEFAULT_TENANT
    expires_at: Annotated[
        AwareDatetime | None,
        BeforeValidator(_rfc_3339),
        Field(description="A run that has not started by this time ends as Expired."),
    ] = None
    labels: Annotated[
        Labels,
        Field(
            description="Marks of the client's own, to find the run by. Not part of its content."
        ),
    ] = {}
    priority: Annotated[
        Priority,
        Field(description="Which of the tenant's runs start first. Not part of the content."),
    ] = "normal"
    parent: Annotated[
        RunId | None,
        Field(description="The run of the same tenant that this one repeats or belongs to."),
    ] = None

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the content, to compare with other requests under the same id."""
        return fingerprint(self.workflow, self.parameters)

    def content(self) -> RunContent:
        """Return the canonical parameters and the fingerprint; each call computes them."""
        return run_content(self.workflow, self.parameters)

    def has_expired(self, now: datetime) -> bool:
        """Return whether the run must not start any more."""
        return self.expires_at is not None and self.expires_at <= now

    def named(self, run_id: str) -> Self:
        """Return the same request with the run's id."""
        return self.model_copy(update={"id": run_id})


class Command(_Message):
    """A command to an existing run: one of SimpleCommand, ResumeCommand and RetryCommand."""

    type: Annotated[CommandType, Field(description="What to do to the run.")]
    id: Annotated[RunId, Field(description="The run to act on.")]
    tenant: Annotated[Tenant, Field(description="Who the run belongs to.")] = DEFAULT_TENANT
    reason: Annotated[
        str | None, Field(max_length=1024, description="Why, in the words of who asks for it.")
    ] = None

    @property
    def key(self) -> RunKey:
        """The run that the command acts on."""
        return RunKey(self.tenant, self.id)


class SimpleCommand(Command):
    """A command that needs nothing but the run."""

    type: Annotated[
        Literal["stop", "terminate", "suspend"], Field(description="What to do to the run.")
    ]


class ResumeCommand(Command):
    """Lets a suspended run go on, and answers what its suspended steps wait for."""

    type: Annotated[Literal["resume"], Field(description="What to do to the run.")] = "resume"
    step: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=256,
            description="Id or name of one suspended step; without it, all go on.",
        ),
    ] = None
    values: Annotated[
        dict[_AnswerName, _AnswerValue],
        Field(max_length=64, description="The answer: values of the step's supplied outputs."),
    ] = {}


class RetryCommand(Command):
    """Runs the failed steps of a finished run again."""

    type: Annotated[Literal["retry"], Field(description="What to do to the run.")] = "retry"
    step: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=256,
            description="Id or name of a step that runs again with all that follows it, although "
            "it succeeded.",
        ),
    ] = None
    restart_succeeded: Annotated[
        bool, Field(strict=True, description="Whether all steps that succeeded run again.")
    ] = False


Request = RunRequest | Command

_COMMAND_MODELS: dict[str, type[Command]] = {
    "stop": SimpleCommand,
    "terminate": SimpleCommand,
    "suspend": SimpleCommand,
    "resume": ResumeCommand,
    "retry": RetryCommand,
}


def read_request(document: JsonValue) -> Request:
    """Return the request in `document`; a document without `type` requests a run.

    Raises:
        InvalidRequestError: the document is not a valid request; the error lists every fault.
    """
    if not isinstance(document, dict):
        raise InvalidRequestError((FieldError(pointer="", detail="Must be a JSON object."),))
    model: type[RunRequest | Command]
    match document.get("type", "run"):
        case "run":
            model = RunRequest
        case str(command) if command in _COMMAND_MODELS:
            model = _COMMAND_MODELS[command]
        case _:
            known = ", ".join(("run", *COMMANDS))
            raise InvalidRequestError(
                (FieldError(pointer="/type", detail=f"Must be one of {known}."),)
            )
    try:
        return model.model_validate(document)
    except ValidationError as e:
        raise InvalidRequestError(field_errors(e)) from e
