"""All commands in one."""

from typing import Annotated

import typer

from sluice_cli import VERSION
from sluice_cli.commands import acting, controls, doctor, keys, letters, logs, runs

__all__ = ["app"]

app = typer.Typer(
    name="sluice",
    no_args_is_help=True,
    invoke_without_command=True,
    # Help is plain text: it is the same in a pipe and in the docs, and there sooner.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback()
def sluice(
    *,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Start, follow and command runs of Sluice."""
    if version:
        typer.echo(f"sluice {VERSION}")
        raise typer.Exit


for module in (runs, logs, acting, controls, letters, keys, doctor):
    module.add_to(app)
