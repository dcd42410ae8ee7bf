"""What is sent with a command over HTTP, and what comes back."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, create_model

from sluice_contracts.requests import (
    Command,
    CommandType,
    ResumeCommand,
    RetryCommand,
    SimpleCommand,
)

__all__ = ["COMMAND_BODIES", "COMMAND_MODELS"]

COMMAND_MODELS: Final[dict[CommandType, type[Command]]] = {
    "stop": SimpleCommand,
    "terminate": SimpleCommand,
    "suspend": SimpleCommand,
    "resume": ResumeCommand,
    "retry": RetryCommand,
}

_IN_THE_PATH: Final = ("type", "id", "tenant")


def _body_of(model: type[Command]) -> type[BaseModel]:
    """Return what remains of a command if the path says what it is and to which run."""
    fields: dict[str, Any] = {
        name: (field.annotation, field)
        for name, field in model.model_fields.items()
        if name not in _IN_THE_PATH
    }
    config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    return create_model(f"{model.__name__}Body", __config__=config, __doc__=model.__doc__, **fields)


_BODIES: Final = {model: _body_of(model) for model in set(COMMAND_MODELS.values())}

COMMAND_BODIES: Final[dict[CommandType, type[BaseModel]]] = {
    command: _BODIES[model] for command, model in COMMAND_MODELS.items()
}
"""The body of each command: the members of its record that the path does not say."""
