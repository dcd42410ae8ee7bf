"""Writes a Python module with a typed function for each workflow of a catalogue."""

import json
import keyword
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pydantic import JsonValue

from sluice_contracts.http_documents import WorkflowDocument

__all__ = ["generate"]

_HEAD: Final = '''"""Starts the workflows of a catalogue; written by sluice_client.codegen."""

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, TypeVar, Unpack

from sluice_client import RunStarter, StartOptions

__all__ = {names}

R = TypeVar("R")
'''

_SCALARS: Final = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
}


def generate(workflows: Iterable[WorkflowDocument]) -> str:
    """Return the text of the module: for each workflow its parameters and a function.

    Raises:
        ValueError: two workflows would have the same name in Python.
    """
    entries = sorted(workflows, key=lambda each: each.name)
    names: dict[str, str] = {}
    for entry in entries:
        function = _identifier(entry.name)
        if (other := names.setdefault(function, entry.name)) != entry.name:
            raise ValueError(
                f"{other!r} and {entry.name!r} would both be {function!r}: rename one of them, or "
                "generate a module for each."
            )
    classes = [_class_name(entry.name) for entry in entries]
    parts = [_HEAD.format(names=_listed(sorted([*classes, *names])))]
    parts += [_of_entry(entry) for entry in entries]
    return "\n\n".join(parts)


def _of_entry(entry: WorkflowDocument) -> str:
    function, parameters = _identifier(entry.name), _class_name(entry.name)
    schema = entry.parameters
    required = schema.get("required", [])
    properties = schema.get("properties", {})
    members = properties if isinstance(properties, dict) else {}
    needed = set(required) if isinstance(required, list) else set()
    default = "" if needed else " | None = None"
    described = _sentence(entry.description) or f"Start {entry.name}."
    fields = list(_fields(members, needed, schema))
    return "\n".join(
        [
            f"{parameters} = TypedDict(",
            f'    "{parameters}",',
            "    {",
            *fields,
            "    },",
            ")",
            f'"""Parameters of {_sentence(entry.name)}."""',
            "",
            "",
            f"async def {function}(",
            "    sluice: RunStarter[R],",
            f"    parameters: {parameters}{default},",
            "    **options: Unpack[StartOptions],",
            ") -> R:",
            f'    """{described}"""',
            f"    return await sluice.start({_text(entry.name)}, parameters, **options)",
            "",
        ]
    )


def _fields(
    members: Mapping[str, JsonValue], needed: set[JsonValue], root: Mapping[str, JsonValue]
) -> Iterator[str]:
    for name, schema in members.items():
        kind = _type(schema, root)
        if isinstance(schema, dict) and isinstance(text := schema.get("description"), str):
            yield f"        # {_sentence(text)}"
        yield f"        {_text(name)}: {kind if name in needed else f'NotRequired[{kind}]'},"


def _type(schema: JsonValue, root: Mapping[str, JsonValue]) -> str:
    """Return the annotation for a JSON Schema; what it cannot say is `Any`."""
    kind = "Any"
    # `true` is a schema, too.
    members = schema if isinstance(schema, dict) else {}
    match members:
        case {"$ref": str(place)}:
            kind = _type(_referred(place, root), root)
        case {"const": value}:
            kind = _literal([value])
        case {"enum": list(values)}:
            kind = _literal(values)
        case {"anyOf": list(several)} | {"oneOf": list(several)}:
            kind = _united(_type(each, root) for each in several)
        case {"type": list(kinds)}:
            kind = _united(_type({**members, "type": each}, root) for each in kinds)
        case {"type": "array"}:
            kind = f"list[{_type(members.get('items'), root)}]"
        case {"type": "object"}:
            kind = f"Mapping[str, {_type(members.get('additionalProperties'), root)}]"
        case {"type": str(name)}:
            kind = _SCALARS.get(name, "Any")
    return kind


def _referred(place: str, root: Mapping[str, JsonValue]) -> JsonValue:
    found: JsonValue = dict(root)
    for part in place.removeprefix("#/").split("/"):
        found = found.get(part) if isinstance(found, dict) else None
    # A schema that refers to itself has no end.
    return found if "$ref" not in str(found) else None


def _literal(values: list[JsonValue]) -> str:
    shown = []
    for value in values:
        match value:
            case str():
                shown.append(_text(value))
            case None | bool() | int():
                shown.append(repr(value))
            case _:
                return "Any"
    return f"Literal[{', '.join(shown)}]" if shown else "Any"


def _united(kinds: Iterable[str]) -> str:
    different = list(dict.fromkeys(kinds))
    return "Any" if "Any" in different or not different else " | ".join(different)


def _identifier(name: str) -> str:
    text = re.sub(r"\W", "_", name, flags=re.ASCII).strip("_").lower() or "workflow"
    if text[0].isdigit() or keyword.iskeyword(text) or text in {"any", "r"}:
        return f"run_{text}"
    return text


def _class_name(name: str) -> str:
    words = re.findall(r"[A-Za-z0-9]+", name)
    text = "".join(word[0].upper() + word[1:] for word in words)
    return f"{'' if text[:1].isalpha() else 'Run'}{text}Parameters"


def _text(value: str) -> str:
    """Return a literal in double quotes, whatever the text has in it."""
    return json.dumps(value, ensure_ascii=False)


def _sentence(text: str) -> str:
    """Return the text as part of a comment or a docstring: one line, without its delimiters."""
    printable = "".join(each if each.isprintable() else " " for each in text)
    return " ".join(printable.split()).replace("\\", "/").replace('"', "'")[:400]


def _listed(names: list[str]) -> str:
    return "[\n" + "".join(f'    "{name}",\n' for name in names) + "]"
