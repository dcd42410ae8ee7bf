"""Colours by what a word says, and text that cannot command a terminal."""

import json
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["json_text", "printable", "style_of"]

_STYLES: Final[Mapping[str, str]] = {
    "Succeeded": "green",
    "done": "green",
    "Running": "cyan",
    "running": "cyan",
    "Suspended": "yellow",
    "suspended": "yellow",
    "paused": "yellow",
    "draining": "yellow",
    "Failed": "red",
    "failed": "red",
    "Error": "red",
    "Rejected": "red",
    "Expired": "red",
    "Deleted": "red",
    "planned": "dim",
    "skipped": "dim",
}


def style_of(word: str) -> str:
    """Return rich's style for a phase or a state, empty for other words."""
    return _STYLES.get(word, "")


def printable(text: str) -> str:
    """Return the text without control characters: messages and values come from anywhere."""
    return "".join(
        each if each.isprintable() or each in "\n\t" else "\N{REPLACEMENT CHARACTER}"
        for each in text
    )


def json_text(document: Any, *, indent: int | None = None) -> str:  # noqa: ANN401 - JSON
    """Return the document as JSON, in which control characters of any kind are escaped."""
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text
    )
