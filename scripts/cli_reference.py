#!/usr/bin/env python3
"""Write the reference of the command `sluice` into docs/cli.md: `make schemas`.

A test compares it with the commands.

Usage: cli_reference.py FILE
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer

from sluice_cli.app import app
from sluice_cli.invocation import SHARED

__all__ = ["page"]

_BEGIN: Final = "<!-- commands: `make schemas` writes them -->\n"
_END: Final = "<!-- end of commands -->\n"


def page(text: str) -> str:
    """Return the page with the reference of today's commands."""
    before, _, rest = text.partition(_BEGIN)
    group: Any = typer.main.get_command(app)
    commands = list(_commands(group, "sluice"))
    shared = [each for each in commands[0][1].params if each.name in SHARED]
    parts = [
        _options(commands[0][1], shared),
        *(_section(name, command) for name, command in commands),
    ]
    return before + _BEGIN + "\n\n".join(parts) + "\n\n" + _END + rest.partition(_END)[2]


def _commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - typer's
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _section(name: str, command: Any) -> str:  # noqa: ANN401 - typer's
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    own = [
        each
        for each in command.params
        if each.param_type_name == "option" and each.name not in (*SHARED, "help")
    ]
    words = "".join(f" {_argument(each)}" for each in arguments)
    # A sentence a line, as everywhere in docs/.
    help_text = " ".join(command.help.split()).replace(". ", ".\n")
    parts = [f"### `{name}{words}`", help_text]
    return "\n\n".join([*parts, _options(command, own)] if own else parts)


def _argument(parameter: Any) -> str:  # noqa: ANN401 - typer's
    name = f"{parameter.metavar}{'...' if parameter.nargs == -1 else ''}"
    return name if parameter.required else f"[{name}]"


def _options(command: Any, parameters: list[Any]) -> str:  # noqa: ANN401 - typer's
    context = typer.Context(command)
    # As `--help` has them.
    records = [each.get_help_record(context) for each in parameters]
    rows = [f"| `{_cell(names)}` | {_cell(said)} |" for names, said in records]
    return "\n".join(["| option | says |", "| --- | --- |", *rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace(".  [", " [").removesuffix(".")


def main() -> None:
    """Write the page."""
    file = Path(sys.argv[1])
    file.write_text(page(file.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
