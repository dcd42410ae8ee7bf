"""What a command shows on a terminal of a fixed size, as a page for a picture.

The command runs in a pseudo-terminal, so it takes it for a person's. Its screen becomes HTML in the
colours of a light or a dark terminal, and needs nothing from elsewhere.
"""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

__all__ = ["COLUMNS", "ROWS", "THEMES", "html_of", "shown_by"]

COLUMNS: Final = 104
ROWS: Final = 30

_Colour = tuple[int, int, int]

# Text, or one of the few sequences of control characters that Sluice's command writes.
_PIECES: Final = re.compile(r"(\x1b\[[0-9;?]*[A-Za-z]|[\r\n])")
_ERASE_LINE: Final = "\x1b[2K"
_UP: Final = re.compile(r"\x1b\[(\d*)A")
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")
_CURSOR: Final = frozenset({"\x1b[?25l", "\x1b[?25h"})

_HTML: Final = """<!doctype html>
<meta charset="utf-8">
<style>
body {{ margin: 0; background: {background}; }}
pre {{
  margin: 0; padding: 20px 24px; width: max-content;
  color: {foreground}; background: {background};
  font: 15px/1.4 monospace; white-space: pre;
}}
</style>
<pre>{code}</pre>
"""


def _theme(*, page: _Colour, text: _Colour, colours: Sequence[_Colour]) -> TerminalTheme:
    """Return a theme in which bright colours are as the others are."""
    return TerminalTheme(page, text, list(colours), list(colours))


THEMES: Final[Mapping[str, TerminalTheme]] = {
    "light": _theme(
        page=(255, 255, 255),
        text=(31, 35, 40),
        colours=(
            (31, 35, 40),
            (180, 35, 24),
            (17, 99, 41),
            (125, 78, 0),
            (9, 105, 218),
            (130, 80, 223),
            (0, 108, 117),
            (87, 96, 106),
        ),
    ),
    "dark": _theme(
        page=(13, 17, 23),
        text=(230, 237, 243),
        colours=(
            (110, 118, 129),
            (255, 123, 114),
            (86, 211, 100),
            (227, 179, 65),
            (121, 192, 255),
            (210, 168, 255),
            (86, 212, 221),
            (230, 237, 243),
        ),
    ),
}
"""The colours of terminals, in the order of ANSI: black, red, green and so on."""


def shown_by(
    command: Sequence[str], *, environment: Mapping[str, str], folder: Path | None = None
) -> list[str]:
    """Run a command on a terminal, and return the lines that it leaves, with their colours.

    Raises:
        subprocess.CalledProcessError: the command has failed.
        ValueError: it has written what is not known here.
    """
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as reader:
        size = struct.pack("HHHH", ROWS, COLUMNS, 0, 0)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
        try:
            running = subprocess.Popen(
                command,
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                cwd=folder,
                env=_of_a_terminal(environment),
                start_new_session=True,
            )
        finally:
            # Reading ends once nobody else has it.
            os.close(theirs)
        with running:
            written = b"".join(iter(lambda: _read(reader), b""))
    if running.returncode:
        raise subprocess.CalledProcessError(running.returncode, command, written)
    return _screen(written.decode())


def html_of(lines: Sequence[str], *, theme: TerminalTheme) -> str:
    """Return a page with the last lines that the terminal has room for."""
    console = Console(
        file=io.StringIO(),
        record=True,
        width=COLUMNS,
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
    )
    for line in list(lines)[-ROWS:]:
        console.print(Text.from_ansi(line), highlight=False)
    return console.export_html(theme=theme, code_format=_HTML, inline_styles=True)


def _of_a_terminal(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables without what people set against colours, or for another size."""
    unwanted = {"NO_COLOR", "FORCE_COLOR", "COLORTERM", "COLUMNS", "LINES", "TTY_COMPATIBLE"}
    kept = {name: value for name, value in environment.items() if name not in unwanted}
    return kept | {"TERM": "xterm-256color"}


def _read(terminal: io.RawIOBase) -> bytes:
    try:
        return terminal.read(64 * 1024) or b""
    except OSError:
        # Linux says so when the other side is closed.
        return b""


def _screen(written: str) -> list[str]:
    """Return what is left of all that was written, line by line.

    Raises:
        ValueError: a sequence is not known, or text would be written over text.
    """
    lines, row, returned = [""], 0, False
    for piece in _PIECES.split(written):
        if not piece or piece in _CURSOR:
            continue
        if piece == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif piece == "\r":
            returned = True
        elif piece == _ERASE_LINE:
            lines[row] = ""
        elif up := _UP.fullmatch(piece):
            row -= min(row, int(up[1] or 1))
        elif _COLOURS.fullmatch(piece) or piece.isprintable():
            if returned and lines[row]:
                raise ValueError(f"text is written over {lines[row]!r}")
            lines[row] += piece
            returned = False
        else:
            raise ValueError(f"{piece!r} is not known here")
    return lines if lines[-1] else lines[:-1]
