"""Reads the file that has the doors."""

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from sluice_contracts.problems import field_errors
from sluice_contracts.topic_sets import Door

__all__ = ["read_doors"]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    doors: tuple[Door, ...]


def read_doors(file: Path) -> tuple[Door, ...]:
    """Return the doors of a YAML file, which has them under `doors`.

    Raises:
        ValueError: the file is unreadable or has something else; the message names the place.
    """
    try:
        document = yaml.safe_load(file.read_bytes())
    except OSError as e:
        raise ValueError(f"doors_file: {file} cannot be read: {e.strerror}.") from e
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        mark = getattr(e, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise ValueError(f"doors_file: {file} is not readable YAML{where}.") from e
    try:
        return _Document.model_validate(document).doors
    except ValidationError as e:
        places = "; ".join(
            f"{error.pointer.strip('/').replace('/', '.') or 'the document'}: {error.detail}"
            for error in field_errors(e)
        )
        raise ValueError(f"doors_file: {file}: {places}") from e
