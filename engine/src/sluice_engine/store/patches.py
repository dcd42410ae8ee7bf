"""JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7386).

Both return a new document, which may share parts with the given one.
"""

from copy import deepcopy
from typing import Final

from sluice_engine.documents import Json, same_json
from sluice_engine.store.errors import ApiError, bad_request

__all__ = ["json_patch", "merge_patch"]

_OPERATIONS: Final = frozenset({"add", "remove", "replace", "move", "copy", "test"})
_MAX_OPERATIONS: Final = 10_000


def merge_patch(target: Json, patch: Json) -> Json:
    """Apply a merge patch: objects merge, null removes, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def json_patch(target: Json, operations: Json) -> Json:
    """Apply a JSON patch; all of it or nothing.

    Raises:
        ApiError: 400 if it is not a patch; 422 if a `test` fails or a path does not exist, in the
            words of the API server.
    """
    if not isinstance(operations, list) or len(operations) > _MAX_OPERATIONS:
        raise bad_request(f"a JSON patch is a list of at most {_MAX_OPERATIONS} operations")
    document = deepcopy(target)
    for operation in operations:
        document = _apply(document, operation)
    return document


def _unprocessable(_why: str) -> ApiError:
    # A real server does not say which operation failed, so clients cannot depend on it.
    text = "the server rejected our request due to an error in our request"
    return ApiError(422, "Invalid", text)


def _apply(document: Json, operation: Json) -> Json:
    if not isinstance(operation, dict) or operation.get("op") not in _OPERATIONS:
        raise bad_request("each operation of a JSON patch has op, path and, where due, value")
    kind, path = operation["op"], _pointer(operation.get("path"))
    if kind in {"add", "replace", "test"} and "value" not in operation:
        raise bad_request(f"operation {kind} of a JSON patch needs a value")
    match kind:
        case "add":
            return _add(document, path, deepcopy(operation["value"]))
        case "remove":
            return _remove(document, path)
        case "replace":
            return _replace(document, path, deepcopy(operation["value"]))
        case "test":
            if not same_json(_lookup(document, path), operation["value"]):
                raise _unprocessable("test failed")
            return document
        case _:
            source = _pointer(operation.get("from"))
            value = deepcopy(_lookup(document, source))
            if kind == "move":
                document = _remove(document, source)
            return _add(document, path, value)


def _pointer(path: Json) -> list[str]:
    if not isinstance(path, str) or (path and not path.startswith("/")):
        raise bad_request(f"not a JSON pointer: {path!r}")
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _index(part: str, *, upto: int) -> int:
    if not (part == "0" or (part.isascii() and part.isdigit() and part[0] != "0")):
        raise _unprocessable("no array index")
    if int(part) > upto:
        raise _unprocessable("array index out of range")
    return int(part)


def _lookup(document: Json, path: list[str]) -> Json:
    for part in path:
        if isinstance(document, dict) and part in document:
            document = document[part]
        elif isinstance(document, list):
            document = document[_index(part, upto=len(document) - 1)]
        else:
            raise _unprocessable("no such path")
    return document


def _add(document: Json, path: list[str], value: Json) -> Json:
    if not path:
        return value
    parent, last = _lookup(document, path[:-1]), path[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list):
        position = len(parent) if last == "-" else _index(last, upto=len(parent))
        parent.insert(position, value)
    else:
        raise _unprocessable("the parent is neither an object nor a list")
    return document


def _replace(document: Json, path: list[str], value: Json) -> Json:
    parent = _lookup(document, path[:-1])
    # As in a real server, and unlike RFC 6902, a missing member of an object is added.
    if not isinstance(parent, dict):
        document = _remove(document, path)
    return _add(document, path, value)


def _remove(document: Json, path: list[str]) -> Json:
    _lookup(document, path)
    if not path:
        return None
    parent, last = _lookup(document, path[:-1]), path[-1]
    del parent[int(last) if isinstance(parent, list) else last]
    return document
