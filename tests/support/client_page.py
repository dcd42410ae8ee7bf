"""The examples of docs/client.md.

A block of `python` is a program, and a block of `text` behind it is what it prints.
"""

import ast
import inspect
import io
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

__all__ = ["Example", "examples", "execute"]

_PAGE = Path(__file__).parents[2] / "docs" / "client.md"
_BLOCK = re.compile(r"^```(python(?: sync| kafka)?|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """A program, and what the page says that it prints."""

    kind: str
    program: str
    printed: str = ""


def examples() -> list[Example]:
    """Give the examples of the page."""
    found: list[Example] = []
    behind_python = False
    for kind, text in _BLOCK.findall(_PAGE.read_text("utf-8")):
        if kind != "text":
            found.append(Example(kind, text))
        elif behind_python:
            found[-1] = Example(found[-1].kind, found[-1].program, text)
        behind_python = kind != "text"
    return found


async def execute(program: str, names: dict[str, Any]) -> str:
    """Execute a program that may await at its top level; return what it prints."""
    code = compile(program, "docs/client.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    printed = io.StringIO()
    # The gateway in this process prints its log.
    names["print"] = partial(print, file=printed)
    result = eval(code, names)  # noqa: S307 - it is ours
    if inspect.isawaitable(result):
        await result
    return printed.getvalue()
