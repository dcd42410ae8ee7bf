"""Expands withItems, withParam and withSequence: one step becomes many."""

import re
from collections.abc import Mapping
from typing import Final

from sluice_engine.controller.errors import TemplateError
from sluice_engine.controller.substitution import Scope, substitute
from sluice_engine.documents import Json, Object, decode, encode

__all__ = ["FANS", "NO_ITEMS", "expand", "expand_unwanted", "is_fan"]

FANS: Final = ("withItems", "withParam", "withSequence")
NO_ITEMS: Final = "Skipped, empty params"
"""Argo's words for a list without items."""
_OF_OTHERS: Final = re.compile(r"\{\{\s*(?:steps|tasks)\.")
_FORMAT: Final = re.compile(r"(?:[^%]|%%)*%[-+ 0#]*\d*[dxXo](?:[^%]|%%)*\Z")
_MAX_ITEMS: Final = 100_000


def is_fan(step: Mapping[str, Json]) -> bool:
    """Return whether a step or task is to be expanded."""
    return any(step.get(fan) is not None for fan in FANS)


def expand(step: Mapping[str, Json], scope: Scope) -> list[tuple[str, dict[str, str]]]:
    """Return name and `item` tags of each of the steps that a step becomes.

    Raises:
        TemplateError: the items are not a JSON list, or the sequence makes no sense.
    """
    return [_named(str(step["name"]), i, item) for i, item in enumerate(_items(step, scope))]


def expand_unwanted(step: Mapping[str, Json], scope: Scope) -> list[tuple[str, dict[str, str]]]:
    """Return the same of a step whose `when` is false whatever the item.

    Argo does not look up then what other steps gave, and a list that is none has no items.
    """
    if _OF_OTHERS.search(step.get("withParam") or ""):
        return []
    try:
        return expand(step, scope)
    except TemplateError:
        return []


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
        message = f"withParam value could not be parsed as a JSON list: {text.strip()}"
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


def _written(value: Json) -> str:
    """Write JSON; Argo removes the quotes of a string, but keeps its escapes."""
    written = encode(value).decode()
    return written[1:-1] if isinstance(value, str) else written


def _named(name: str, index: int, item: Json) -> tuple[str, dict[str, str]]:
    tags = {"item": item if isinstance(item, str) else _written(item)}
    described = _written(item)
    if isinstance(item, dict):
        ordered = dict(sorted(item.items()))
        tags = {"item": _written(ordered)} | {f"item.{k}": _written(v) for k, v in ordered.items()}
        described = ",".join(sorted(f"{k}:{_written(v)}" for k, v in ordered.items()))
    elif isinstance(item, list | None):
        described = "[" + " ".join(map(_written, item or ())) + "]"
    described = described.replace("(", "").replace(")", "")
    return f"{name}({index}:{described})", tags
