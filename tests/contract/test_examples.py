"""The examples of docs/api.md do what the page says, by curl, in the order of the page.

A block of `sh` is executed, and a block of `http` or `text` behind it is what it prints. There, `…`
stands for anything, and so does the number of an event; white space does not count, and comments of
a stream may be missing. A block of `http` lists some of the headers.
"""

import asyncio
import os
import re
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from sluice_workflows.catalogue import load_catalogue
from tests.contract.gateway import ending_gateway

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
ADDRESS = "localhost:8080"

_BLOCK = re.compile(r"^```(sh|http|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """A command, and what the page says that it prints."""

    command: str
    kind: str
    printed: str


def examples() -> list[Example]:
    """Give the examples of the page."""
    found: list[Example] = []
    for kind, text in _BLOCK.findall(PAGE.read_text("utf-8")):
        if kind == "sh":
            found.append(Example(text, "", ""))
        elif found and not found[-1].kind:
            found[-1] = Example(found[-1].command, kind, text)
    return [each for each in found if ADDRESS in each.command]


async def execute(command: str, address: str) -> str:
    """Execute the command against the gateway at the address."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", command.replace(ADDRESS, address)),
        env={**os.environ, "HOME": "/nonexistent"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return printed.decode().replace("\r\n", "\n")


def pattern(text: str) -> str:
    """Give the expression for a text without its white space, in which `…` is anything."""
    return ".*?".join(map(re.escape, dense(text).split("…")))


def dense(text: str) -> str:
    """Give the text without white space."""
    return re.sub(r"\s", "", text)


def check(example: Example, printed: str) -> None:
    """Compare what was printed with the page."""
    expected = example.printed
    if example.kind == "http":
        head, _, expected = expected.partition("\n\n")
        shown, _, printed = printed.partition("\n\n")
        status, *headers = head.splitlines()
        assert shown.splitlines()[0] == status
        for each in headers:
            lines = map(dense, shown.splitlines())
            assert any(re.fullmatch(pattern(each), line) for line in lines), f"{each}: {shown}"
    else:
        kept = (line for line in expected.splitlines() if not line.startswith(":"))
        expected = re.sub(r"^id: .*$", "id: …", "\n".join(kept), flags=re.MULTILINE)
    assert re.fullmatch(pattern(expected), dense(printed)), f"{expected}\n{printed}"


async def test_every_example_does_what_the_page_says(tmp_path: Path) -> None:
    built_in = load_catalogue(file=None, entry_points=entry_points(group="sluice.workflows"))
    found = examples()
    assert len(found) > 1
    async with ending_gateway(tmp_path, catalogue=built_in) as gateway:
        url = gateway.client.make_url("/")
        for each in found:
            check(each, await execute(each.command, f"{url.host}:{url.port}"))
