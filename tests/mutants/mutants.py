"""The list of mutants: read from `list/*.toml`, and applied to a tree."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["LIST", "Change", "Mutant", "MutantError", "apply", "read_mutants", "restore"]

LIST = Path(__file__).parent / "list"

_KEYS = {"name", "why", "file", "old", "new", "also", "tests"}


class MutantError(ValueError):
    """The list of mutants is invalid or does not match the code; the message says where."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One replacement of a text in a file."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One fault, what it would break, and the smallest tests that must fail."""

    name: str
    why: str
    changes: tuple[Change, ...]
    tests: tuple[str, ...]


def read_mutants(folder: Path = LIST) -> list[Mutant]:
    """Return the mutants of all lists in a folder.

    Raises:
        MutantError: an entry has missing or unknown keys, or a name is not unique.
    """
    mutants = [
        _mutant(entry, part=file.stem)
        for file in sorted(folder.glob("*.toml"))
        for entry in tomllib.loads(file.read_text(encoding="utf-8")).get("mutant", [])
    ]
    names = [mutant.name for mutant in mutants]
    if twice := {name for name in names if names.count(name) > 1}:
        raise MutantError(f"These names are not unique: {', '.join(sorted(twice))}.")
    return mutants


def _mutant(entry: Mapping[str, Any], *, part: str) -> Mutant:
    name = f"{part}: {entry.get('name')}"
    if unknown := entry.keys() - _KEYS:
        raise MutantError(f"{name}: {', '.join(sorted(unknown))} is not a known key.")
    if missing := _KEYS - {"also"} - entry.keys():
        raise MutantError(f"{name}: {', '.join(sorted(missing))} is missing.")
    changes = [entry, *entry.get("also", [])]
    return Mutant(
        name=name,
        why=entry["why"],
        changes=tuple(
            Change(file=each.get("file", entry["file"]), old=each["old"], new=each["new"])
            for each in changes
        ),
        tests=tuple(entry["tests"]),
    )


@dataclass(frozen=True)
class _Before:
    """The content of a file before its change."""

    text: str
    modified_ns: int


def apply(mutant: Mutant, *, tree: Path) -> dict[Path, _Before]:
    """Apply the fault to a tree, and return the previous content of its files.

    Raises:
        MutantError: a text does not occur exactly once; nothing was changed.
    """
    before: dict[Path, _Before] = {}
    after: dict[Path, str] = {}
    for change in mutant.changes:
        file = tree / change.file
        if not file.is_file():
            raise MutantError(f"{mutant.name}: there is no {change.file}.")
        text = after.get(file) or file.read_text(encoding="utf-8")
        if (found := text.count(change.old)) != 1:
            raise MutantError(
                f"{mutant.name}: its text occurs {found} times in {change.file}, not once. "
                "Update the list."
            )
        before.setdefault(file, _Before(text, file.stat().st_mtime_ns))
        after[file] = text.replace(change.old, change.new)
    for file, text in after.items():
        file.write_text(text, encoding="utf-8")
    return before


def restore(before: Mapping[Path, _Before]) -> None:
    """Restore the files with their times, so that their bytecode is valid again."""
    for file, was in before.items():
        file.write_text(was.text, encoding="utf-8")
        os.utime(file, ns=(was.modified_ns, was.modified_ns))
