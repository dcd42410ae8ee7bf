"""Reads YAML files that people write: what could be read in two ways is refused, with its place."""

from collections.abc import Hashable
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

__all__ = ["FileError", "StrictModel", "read_yaml"]

M = TypeVar("M", bound=BaseModel)


class FileError(Exception):
    """A file cannot be used; the message names it, and each place that is wrong, not the values."""


class StrictModel(BaseModel):
    """A part of a file: unknown fields are refused, and so are values of another type."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


def read_yaml(content: bytes, model: type[M], *, source: str) -> M:
    """Return the content of the file that messages call `source`.

    Raises:
        FileError: it is not YAML, or not a document of the model.
    """
    try:
        document = yaml.load(content, Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError) as e:
        # ValueError is what a date gets that does not exist. Not chained: messages repeat the line.
        raise FileError(f"{source}: {_syntax(e)}") from None
    try:
        return model.model_validate(document)
    except ValidationError as e:
        raise FileError("\n".join(f"{source}: {line}" for line in _places(e))) from None


def _syntax(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}: " if mark else ""
    why = getattr(error, "problem", None) or "a value is unreadable"
    return f"{where}this is not valid YAML: {why}."


def _places(error: ValidationError) -> list[str]:
    lines = []
    for item in error.errors(include_url=False, include_input=False):
        message = {
            "missing": "is missing",
            "extra_forbidden": "is not a known field; check its spelling",
        }.get(item["type"], item["msg"].removeprefix("Value error, ").removesuffix("."))
        lines.append(f"{_place(item['loc'])}: {message}.")
    return lines


def _place(location: tuple[int | str, ...]) -> str:
    if not location:
        return "top level"
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)[1:]


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses duplicate keys, of which YAML takes the last."""


def _unique_keys(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    seen = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, "a key is given twice", key.start_mark
                )
            seen.add(key.value)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_UniqueKeyLoader.add_constructor("tag:yaml.org,2002:map", _unique_keys)
