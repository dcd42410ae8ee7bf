"""The part of JSON Patch (RFC 6902) that Sluice uses: add, remove, replace and test."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

Json = dict[str, Any]


class PatchFailedError(Exception):
    """A test failed or a path does not exist; nothing was changed."""


def apply_json_patch(document: Json, operations: Sequence[Json]) -> Json:
    """Return the changed document; the given one stays unchanged."""
    changed = deepcopy(document)
    for operation in operations:
        *parents, last = _pointer(operation["path"])
        place: Any = changed
        for part in parents:
            place = _child(place, part)
        match operation["op"]:
            case "test":
                if _child(place, last) != operation["value"]:
                    raise PatchFailedError(f"test failed: {operation['path']}")
            case "add":
                _add(place, last, deepcopy(operation["value"]))
            case "replace":
                _child(place, last)
                place[_key(place, last)] = deepcopy(operation["value"])
            case "remove":
                _child(place, last)
                del place[_key(place, last)]
            case other:
                raise PatchFailedError(f"unknown operation: {other}")
    return changed


def _pointer(path: str) -> list[str]:
    if not path.startswith("/"):
        raise PatchFailedError(f"not a JSON Pointer: {path}")
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _key(place: Any, part: str) -> Any:
    if isinstance(place, list):
        if not part.isdecimal():
            raise PatchFailedError(f"not an index: {part}")
        return int(part)
    return part


def _child(place: Any, part: str) -> Any:
    try:
        return place[_key(place, part)]
    except (KeyError, IndexError, TypeError) as e:
        raise PatchFailedError(f"no such path: {part}") from e


def _add(place: Any, part: str, value: Any) -> None:
    if isinstance(place, list):
        position = len(place) if part == "-" else _key(place, part)
        if position > len(place):
            raise PatchFailedError(f"index out of range: {part}")
        place.insert(position, value)
    elif isinstance(place, dict):
        place[part] = value
    else:
        raise PatchFailedError(f"not a container: {part}")
