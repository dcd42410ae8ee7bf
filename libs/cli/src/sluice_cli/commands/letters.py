"""`sluice dlq`: records that can never be valid."""

from functools import partial
from typing import Annotated

import typer

from sluice_cli.commands.options import FilterSince, FilterUntil, LimitOption, ReasonOption
from sluice_cli.invocation import Invocation, shared_options

__all__ = ["add_to"]

_Letter = Annotated[str, typer.Argument(metavar="LETTER", help="Id of the dead letter.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands, in a group of their own."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(group, name="dlq", help="List, show, replay and drop dead letters.")
    for name, function in (("list", list_), ("show", show), ("replay", replay), ("drop", drop)):
        group.command(name)(function)


@shared_options
def list_(
    invocation: Invocation,
    *,
    state: Annotated[
        list[str] | None,
        typer.Option("--state", metavar="STATE", help="open, replayed or dropped; repeatable."),
    ] = None,
    type_: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="TYPE", help="With this type of problem; repeatable."),
    ] = None,
    since: FilterSince = None,
    until: FilterUntil = None,
    limit: LimitOption = 50,
) -> None:
    """List dead letters, newest first."""
    from sluice_cli.domain.filters import LetterSelection
    from sluice_cli.services.letters import list_letters
    from sluice_cli.session import with_gateway

    selection = LetterSelection(states=state or (), types=type_ or (), since=since, until=until)
    with_gateway(invocation, partial(list_letters, selection=selection, limit=limit))


@shared_options
def show(invocation: Invocation, *, letter_id: _Letter) -> None:
    """Show LETTER: why it can never be valid, and what it holds."""
    from sluice_cli.services.letters import show_letter
    from sluice_cli.session import with_gateway

    with_gateway(invocation, partial(show_letter, letter_id=letter_id))


@shared_options
def replay(
    invocation: Invocation,
    *,
    letter_id: _Letter,
    value: Annotated[
        str | None,
        typer.Option(
            "--value", metavar="JSON", help="Take this request instead: JSON, @FILE or @-."
        ),
    ] = None,
    reason: ReasonOption = None,
) -> None:
    """Start the run that LETTER asks for, or carry out its command."""
    from sluice_cli.adapters.files import read_text
    from sluice_cli.services.letters import replay_letter
    from sluice_cli.session import with_gateway

    with_gateway(
        invocation,
        partial(
            replay_letter, letter_id=letter_id, value=value, read_text=read_text, reason=reason
        ),
    )


@shared_options
def drop(invocation: Invocation, *, letter_id: _Letter, reason: ReasonOption = None) -> None:
    """Note that nobody needs LETTER; it can still be read."""
    from sluice_cli.services.letters import drop_letter
    from sluice_cli.session import with_gateway

    with_gateway(invocation, partial(drop_letter, letter_id=letter_id, reason=reason))
