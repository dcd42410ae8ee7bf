"""withItems, withParam and withSequence: one step that becomes many."""

import re
from collections.abc import Mapping
from typing import Final

from sluice_local.engine.controller.errors import TemplateError
from sluice_local.engine.controller.substitution import Scope, substitute
from sluice_local.engine.documents import Json, Object, decode, encode

__all__ = ["FANS", "expand", "is_fan"]

FANS: Final = ("withItems", "withParam", "withSequence")
_FORMAT: Final = re.compile(r"(?:[^%]|%%)*%[-+ 0#]*\d*[dxXo](?:[^%]|%%)*\Z")
_MAX_ITEMS: Final = 100_000


def is_fan(step: Mapping[str, Json]) -> bool:
    """Tell whether a step or task is to be expanded."""
    return any(step.get(fan) is not None for fan in FANS)


def expand(step: Mapping[str, Json], scope: Scope) -> list[tuple[str, dict[str, str]]]:
    """Return name and `item` tags of each of the steps that a step becomes.

    Raises:
        TemplateError: the items are no JSON list, or the sequence makes no sense.
    """
    return [_named(str(step["name"]), i, item) for i, item in enumerate(_items(step, scope))]


def _items(step: Mapping[str, Json], scope: Scope) -> list[Json]:
    if step.get("withItems") is not None:
        return list(substitute(step["withItems"], scope))
    if step.get("withSequence") is not None:
        return _sequence(substitute(step["withSequence"], scope))
    text = substitute(step["withParam"], scope)
    try:
        items = decode(text)
    except ValueError as e:
        items = e
    if not isinstance(items, list):
        message = "withParam value could not be parsed as a JSON list"
        raise TemplateError(message)
    return items


def _whole_number(sequence: Object, field: str) -> int | None:
    if sequence.get(field) is None:
        return None
    try:
        return int(str(sequence[field]))
    except ValueError as e:
        message = f"withSequence.{field}: {sequence[field]!r} is not a whole number"
        raise TemplateError(message) from e


def _sequence(sequence: Object) -> list[str]:
    start = _whole_number(sequence, "start") or 0
    end = _whole_number(sequence, "end")
    if end is None:
        count = _whole_number(sequence, "count")
        if count is None:
            message = "neither end nor count was specified in withSequence"
            raise TemplateError(message)
        if count <= 0:
            return []
        end = start + count - 1
    form = sequence.get("format") or "%d"
    if not _FORMAT.match(form):
        message = f"withSequence.format {form!r} is not supported by the local engine"
        raise TemplateError(message)
    if abs(end - start) >= _MAX_ITEMS:
        message = f"withSequence has more than {_MAX_ITEMS} items"
        raise TemplateError(message)
    numbers = range(start, end + 1) if start <= end else range(start, end - 1, -1)
    return [form % number for number in numbers]


def _text(value: Json) -> str:
    return value if isinstance(value, str) else encode(value).decode()


def _named(name: str, index: int, item: Json) -> tuple[str, dict[str, str]]:
    tags = {"item": _text(item)}
    described = tags["item"]
    if isinstance(item, dict):
        ordered = dict(sorted(item.items()))
        tags = {"item": _text(ordered)} | {f"item.{k}": _text(v) for k, v in ordered.items()}
        described = ",".join(sorted(f"{k}:{_text(v)}" for k, v in ordered.items()))
    elif isinstance(item, list):
        described = "[" + " ".join(map(_text, item)) + "]"
    elif item is None:
        message = f"withItems[{index}] expected string, number, list, or map. received: null"
        raise TemplateError(message)
    described = described.replace("(", "").replace(")", "")
    return f"{name}({index}:{described})", tags
