"""What the script of the pictures makes of a command on a terminal."""

import os
import subprocess
import sys

import pytest

from tests.dashboard.terminal import COLUMNS, ROWS, THEMES, html_of, shown_by

GREEN = "\x1b[32m"
TREE = """
import os, sys
from sluice_cli.adapters.terminal import Terminal
from sluice_cli.domain.formats import Format
from sluice_client import Event, Phase
from sluice_client.fake import FakeSluice
import asyncio

async def main():
    screen = Terminal(Format.TABLE, out=sys.stdout, err=sys.stderr)
    sluice = FakeSluice({"hello": lambda _: {"greeting": "Hi"}})
    run = await sluice.start("hello", {}, id="order-1")
    with screen.view(run.id, None) as view:
        async for event in run.events():
            view.show(event)
            view._live.refresh()
    screen.outcome(event.state)
    print(*os.get_terminal_size())

asyncio.run(main())
"""


def shown(program: str) -> list[str]:
    return shown_by([sys.executable, "-c", program], environment=os.environ)


def test_what_was_drawn_in_place_is_there_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "20")
    head, outputs, size = shown(TREE)
    assert "32m" in head
    assert "order-1  hello  Succeeded" in head
    assert outputs == "greeting = Hi"
    assert size == f"{COLUMNS} {ROWS}"


def test_a_command_that_fails_gives_no_picture() -> None:
    with pytest.raises(subprocess.CalledProcessError, match="status 3") as raised:
        shown("print('why'); exit(3)")
    assert b"why" in raised.value.output


@pytest.mark.parametrize(
    "written", ["\x1b[3;4H", "\x1b[K", "a\rb", "\x07", "\x1b]0;title\x07", "a\x1b[2Kb\x1b[1Bc"]
)
def test_what_is_not_known_gives_no_picture(written: str) -> None:
    with pytest.raises(ValueError, match=r"is not known here|written over"):
        shown(f"print({written!r})")


@pytest.mark.parametrize("theme", THEMES)
def test_a_page_has_the_colours_and_nothing_from_elsewhere(theme: str) -> None:
    page = html_of([f"{GREEN}done <b>\x1b[0m", "plain"], theme=THEMES[theme])
    red, green, blue = THEMES[theme].ansi_colors[2]
    assert f'<span style="color: #{red:02x}{green:02x}{blue:02x}' in page
    assert "done &lt;b&gt;" in page
    assert f"background: {THEMES[theme].background_color.hex}" in page
    assert not any(each in page for each in ("http", "url(", "@font-face", "@import", "<script"))


def test_a_page_has_the_last_lines_of_the_terminal() -> None:
    page = html_of([f"line {number}." for number in range(ROWS + 1)], theme=THEMES["light"])
    assert "line 0." not in page
    assert "line 1." in page
    assert f"line {ROWS}." in page
