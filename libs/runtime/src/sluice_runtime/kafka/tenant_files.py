"""Reads the files that say which topics tenants have, and by which keys they sign."""

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from sluice_contracts.problems import field_errors
from sluice_contracts.signatures import KeyRing, SigningKey
from sluice_contracts.topic_sets import Door

__all__ = ["TenantFileError", "read_doors", "read_signing_keys"]


class TenantFileError(ValueError):
    """A file cannot be used; the message names the setting, the file and the place."""


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class _Doors(_Document):
    doors: tuple[Door, ...]


class _Keys(_Document):
    keys: tuple[SigningKey, ...]


_D = TypeVar("_D", bound=_Document)


def read_doors(file: Path) -> tuple[Door, ...]:
    """Return the doors of a YAML file, which has them under `doors`.

    Raises:
        TenantFileError: the file is unreadable or has something else.
    """
    return _read(file, _Doors, setting="kafka.doors_file").doors


def read_signing_keys(file: Path) -> KeyRing:
    """Return the keys of a YAML file, which has them under `keys`.

    Raises:
        TenantFileError: the file is unreadable or has something else; the message names the place
            and repeats no key.
    """
    return KeyRing.of(_read(file, _Keys, setting="kafka.signing_keys_file").keys)


def _read(file: Path, document: type[_D], *, setting: str) -> _D:
    try:
        content = yaml.safe_load(file.read_bytes())
    except OSError as e:
        raise TenantFileError(f"{setting}: {file} cannot be read: {e.strerror}.") from e
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        mark = getattr(e, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        # Not chained: the parser's message may repeat a key.
        raise TenantFileError(f"{setting}: {file} is not readable YAML{where}.") from None
    try:
        return document.model_validate(content)
    except ValidationError as e:
        places = "; ".join(
            f"{error.pointer.strip('/').replace('/', '.') or 'the document'}: {error.detail}"
            for error in field_errors(e)
        )
        raise TenantFileError(f"{setting}: {file}: {places}") from None
