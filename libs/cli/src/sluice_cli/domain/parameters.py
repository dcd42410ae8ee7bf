"""Parameters of a run as they are typed: `name=value`, `name=@file`, `name:=json`."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from sluice_cli.domain.usage import UsageError

__all__ = ["STDIN", "TypedParameter", "read_parameter", "value_of"]

STDIN: Final = "-"

_TEXT: Final[JsonValue] = {"type": "string"}
# A schema that says nothing allows texts.
_ANY: Final = frozenset({"string"})
_KINDS: Final[Mapping[type, frozenset[str]]] = {
    type(None): frozenset({"null"}),
    bool: frozenset({"boolean"}),
    int: frozenset({"integer", "number"}),
    float: frozenset({"number"}),
    str: frozenset({"string"}),
    list: frozenset({"array"}),
    dict: frozenset({"object"}),
}
# A schema may refer to itself.
_DEEPEST: Final = 8

_TYPED: Final = re.compile(r"(?P<name>[^=:\s][^=:]*)(?P<sign>:?=)(?P<rest>.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class TypedParameter:
    """A parameter as it was typed: its text, or the file that has it; `-` is standard input."""

    name: str
    text: str = ""
    file: str | None = None
    is_json: bool = False


def read_parameter(argument: str) -> TypedParameter:
    """Return what was typed.

    Raises:
        UsageError: it is not like `name=value`.
    """
    found = _TYPED.fullmatch(argument)
    if found is None:
        # The argument may be a secret: it is not repeated.
        raise UsageError("A parameter must be like name=value, name=@file, name=@- or name:=JSON.")
    name, rest, is_json = found["name"], found["rest"], found["sign"] == ":="
    if rest.startswith("@@"):
        return TypedParameter(name=name, text=rest[1:], is_json=is_json)
    if rest.startswith("@"):
        if rest == "@":
            raise UsageError(f"/parameters/{name}: name a file behind the @, or - for the input.")
        return TypedParameter(name=name, file=rest[1:], is_json=is_json)
    return TypedParameter(name=name, text=rest, is_json=is_json)


def value_of(
    parameter: TypedParameter, text: str, *, schema: Mapping[str, JsonValue] | None
) -> JsonValue:
    """Return the value that the text is, by the JSON Schema of the workflow's parameters.

    What may be a text is one. A text that is not of the type that the schema asks for stays a text:
    Sluice refuses it, and says what it wants. Without a schema all are texts, but for those that
    are typed as JSON.

    Raises:
        UsageError: it was typed as JSON, and is none.
    """
    if parameter.is_json:
        try:
            return _json(text)
        except ValueError as e:
            raise UsageError(f"/parameters/{parameter.name}: this is not JSON: {e}.") from None
    kinds = _kinds(_property(parameter.name, schema or {}), schema or {})
    if "string" in kinds:
        return text
    try:
        value = _json(text.strip())
    except ValueError:
        return text
    return value if _kind(value) & kinds else text


def _json(text: str) -> JsonValue:
    def refuse(name: str) -> JsonValue:
        raise ValueError(f"JSON has no {name}")

    value: JsonValue = json.loads(text, parse_constant=refuse)
    return value


def _property(name: str, schema: Mapping[str, JsonValue]) -> JsonValue:
    properties = schema.get("properties")
    # A parameter that is not declared stays as it was typed.
    return properties.get(name, _TEXT) if isinstance(properties, dict) else _TEXT


def _kinds(schema: JsonValue, root: Mapping[str, JsonValue], depth: int = 0) -> frozenset[str]:
    """Return the types of JSON that a schema allows."""
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return _ANY
    match schema:
        case {"$ref": str(place)}:
            return _kinds(_referred(place, root), root, depth + 1)
        case {"anyOf": list(several)} | {"oneOf": list(several)}:
            found = [_kinds(each, root, depth + 1) for each in several]
        case {"enum": list(values)}:
            found = [_kind(each) for each in values]
        case {"const": value}:
            found = [_kind(value)]
        case {"type": list(types)}:
            found = [frozenset(map(str, types))]
        case {"type": str(kind)}:
            found = [frozenset({kind})]
        case _:
            found = [_ANY]
    return frozenset[str]().union(*found)


def _referred(place: str, root: Mapping[str, JsonValue]) -> JsonValue:
    found: JsonValue = dict(root)
    for part in place.removeprefix("#/").split("/"):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _kind(value: JsonValue) -> frozenset[str]:
    """Return the types of JSON Schema that the value has."""
    if isinstance(value, float) and value.is_integer():
        return frozenset({"number", "integer"})
    return _KINDS[type(value)]
