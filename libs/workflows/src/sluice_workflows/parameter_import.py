"""Declares a parameter of a WorkflowTemplate as the catalogue file does; pure."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import TypeAdapter, ValidationError

from sluice_workflows.entries import PARAMETER_NAME
from sluice_workflows.parameters import PlainText

__all__ = ["declare"]

Json = dict[str, Any]

_DEFAULT_BYTES: Final = PlainText().max_bytes


def declare(parameter: Mapping[str, Any]) -> tuple[Json | None, tuple[str, ...]]:
    """Return the declaration of a parameter, and warnings.

    None if it cannot be declared: Argo then takes the template's own value.
    """
    name = parameter.get("name")
    try:
        declared, warnings = _declared(parameter)
    except _UndeclarableError as e:
        return None, (f"parameter `{name}` is not declared, and clients cannot set it: {e}",)
    return declared, tuple(f"parameter `{name}` {warning}" for warning in warnings)


class _UndeclarableError(ValueError):
    """The parameter has to stay as the template has it; the message says why."""


def _declared(parameter: Mapping[str, Any]) -> tuple[Json, list[str]]:
    declared: Json = {"name": _name(parameter), "type": "string"}
    if isinstance(description := parameter.get("description"), str):
        declared["description"] = description.strip()
    default = _default(parameter)
    choices, warnings = _choices(parameter)
    if choices:
        declared |= {"type": "enum", "values": choices}
        if default is not None and default not in choices:
            warnings.append("has no default: its `enum` does not have the template's value")
            default = None
    elif default is not None:
        declared |= _limits(default)
    return declared if default is None else declared | {"default": default}, warnings


def _name(parameter: Mapping[str, Any]) -> str:
    name = parameter.get("name")
    if not (isinstance(name, str) and re.fullmatch(PARAMETER_NAME, name)):
        raise _UndeclarableError("names have only letters, digits, `_` and `-`")
    return name


def _default(parameter: Mapping[str, Any]) -> str | None:
    value = parameter.get("value")
    if value is None:
        value = parameter.get("default")
    if value is None:
        if parameter.get("valueFrom"):
            raise _UndeclarableError("Argo takes it from elsewhere (valueFrom)")
        return None
    text = _as_text(value)
    if text is None:
        raise _UndeclarableError("its value is neither text, a number nor a boolean")
    return text


def _choices(parameter: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the values of its `enum`, and warnings; no values if one cannot be passed on."""
    values = parameter.get("enum")
    choices = [_as_text(value) for value in values] if isinstance(values, list) else []
    usable = [choice for choice in dict.fromkeys(choices) if choice is not None]
    if None in choices or any("{" in choice for choice in usable):
        return [], ["may have any text: a value of its `enum` has a brace, or is not text"]
    return usable, []


def _limits(default: str) -> Json:
    """Return what has to be allowed so that the default is a value like any other."""
    size = len(default.encode())
    try:
        plain = PlainText(max_bytes=size, multiline=True)
        TypeAdapter(Annotated[str, plain]).validate_python(default)
    except ValidationError as e:
        raise _UndeclarableError(f"its value {e.errors(include_url=False)[0]['msg']}") from None
    limits: Json = {}
    if "\n" in default or "\t" in default:
        limits["multiline"] = True
    if size > _DEFAULT_BYTES:
        limits["max_bytes"] = 1 << size.bit_length()
    return limits


def _as_text(value: object) -> str | None:
    """Return a scalar as Argo reads it (v4.0 pkg/apis/workflow/v1alpha1/anystring.go)."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if value.is_integer():
            return str(int(value))
        case float() if abs(value) < float("inf"):
            return format(Decimal(repr(value)), "f")
        case _:
            return None
