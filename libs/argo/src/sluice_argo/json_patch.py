"""Operations of JSON Patch (RFC 6902) in the API server's format; pure."""

from typing import Any

__all__ = ["Operation", "add", "annotation", "remove", "test"]

Operation = dict[str, Any]


def test(path: str, value: object) -> Operation:
    """Return the operation that fails the whole patch unless `path` holds `value`."""
    return {"op": "test", "path": path, "value": value}


def add(path: str, value: object) -> Operation:
    """Return the operation that sets `path`, or inserts there into a list."""
    return {"op": "add", "path": path, "value": value}


def remove(path: str) -> Operation:
    """Return the operation that removes `path`; the patch fails if nothing is there."""
    return {"op": "remove", "path": path}


def annotation(name: str) -> str:
    """Return the JSON Pointer (RFC 6901) of an annotation."""
    return "/metadata/annotations/" + name.replace("~", "~0").replace("/", "~1")
