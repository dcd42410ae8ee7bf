"""The examples of docs/client.md do what the page says, in the order of the page.

A block of `python` is executed, and a block of `text` behind it is what it prints. The blocks share
their names, as those of one program do; a block of `python sync` is a program of its own.
"""

import ast
import asyncio
import contextlib
import inspect
import io
import re
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from sluice_workflows.catalogue import load_catalogue
from tests.contract.gateway import ending_gateway

PAGE = Path(__file__).parents[2] / "docs" / "client.md"
ADDRESS = "http://localhost:8080"

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
    for kind, text in _BLOCK.findall(PAGE.read_text("utf-8")):
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
    with contextlib.redirect_stdout(printed):
        result = eval(code, names)  # noqa: S307 - it is ours
        if inspect.isawaitable(result):
            await result
    return printed.getvalue()


async def test_every_example_does_what_the_page_says(tmp_path: Path) -> None:
    built_in = load_catalogue(file=None, entry_points=entry_points(group="sluice.workflows"))
    found = [each for each in examples() if each.kind != "python kafka"]
    assert len(found) > 10
    names: dict[str, Any] = {}
    async with ending_gateway(tmp_path, catalogue=built_in) as gateway:
        address = str(gateway.client.make_url("/"))
        for each in found:
            program = each.program.replace(ADDRESS, address).replace(
                "/var/run/secrets/tokens/sluice", str(tmp_path / "token")
            )
            if each.kind == "python sync":
                printed = await asyncio.to_thread(asyncio.run, execute(program, {}))
            else:
                printed = await execute(program, names)
            assert printed == each.printed, each.program
