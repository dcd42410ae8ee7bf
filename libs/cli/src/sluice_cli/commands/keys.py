"""`sluice keys`: the file of API keys that the gateway reads."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from sluice_cli.commands.options import KeysFileOption
from sluice_cli.domain.usage import UsageError
from sluice_cli.invocation import Invocation, shared_options

if TYPE_CHECKING:
    from sluice_cli.services.keys import KeysStore

__all__ = ["add_to"]

_MOST_DAYS = 9999
_KeyId = Annotated[str, typer.Argument(metavar="KEY", help="Id of the key, 12 digits.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands, in a group of their own."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(group, name="keys", help="Make, list and revoke API keys, in the gateway's file.")
    for name, function in (("new", new), ("list", list_), ("revoke", revoke)):
        group.command(name)(function)


@shared_options
def new(
    invocation: Invocation,
    *,
    principal: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Who shows the key: grants call it api_key:NAME."),
    ] = None,
    key_id: Annotated[
        str | None, typer.Option("--id", metavar="KEY", help="The key that gets another secret.")
    ] = None,
    days: Annotated[
        int | None,
        typer.Option(min=1, max=_MOST_DAYS, help="Days until it expires; never without it."),
    ] = None,
    file: KeysFileOption = "keys.yaml",
) -> None:
    """Make a key of --principal, or another secret of --id, and show it once.

    The file gets its SHA-256 alone.
    """
    import re

    from sluice_cli.services.keys import make_key
    from sluice_cli.session import carry_out
    from sluice_contracts.api_keys import ID, PRINCIPAL

    if (principal is None) is (key_id is None):
        raise UsageError("Give either --principal or --id.")
    if principal is not None and not re.fullmatch(PRINCIPAL, principal):
        raise UsageError("--principal must be letters, digits, dots, dashes and underscores.")
    if key_id is not None and not re.fullmatch(ID, key_id):
        raise UsageError("--id must be the 12 digits between `slk_` and the secret.")
    store = _store(file)
    carry_out(
        invocation,
        lambda session, _: make_key(
            session, store=store, principal=principal, key_id=key_id, days=days
        ),
    )


@shared_options
def list_(invocation: Invocation, *, file: KeysFileOption = "keys.yaml") -> None:
    """List the keys of the file, and whether their secrets are valid."""
    from sluice_cli.services.keys import list_keys
    from sluice_cli.session import carry_out

    store = _existing_store(file)
    carry_out(invocation, lambda session, _: list_keys(session, store=store))


@shared_options
def revoke(
    invocation: Invocation,
    *,
    key_id: _KeyId,
    secret: Annotated[
        str | None,
        typer.Option(metavar="SHA256", help="Only the secret whose SHA-256 begins so."),
    ] = None,
    file: KeysFileOption = "keys.yaml",
) -> None:
    """Remove KEY from the file, or one of its two secrets; the gateway follows within 5 s."""
    from sluice_cli.services.keys import revoke_key
    from sluice_cli.session import carry_out

    store = _existing_store(file)
    carry_out(
        invocation,
        lambda session, _: revoke_key(session, store=store, key_id=key_id, secret=secret),
    )


def _existing_store(file: str) -> "KeysStore":
    from pathlib import Path

    if not Path(file).is_file():
        raise UsageError(f"There is no file {file}. Name the file of keys by --file.")
    return _store(file)


def _store(file: str) -> "KeysStore":
    import secrets
    from pathlib import Path

    from sluice_cli.adapters.files import read_if_there, replace_text
    from sluice_cli.services.keys import KeysStore

    path = Path(file)
    return KeysStore(
        name=file,
        read=partial(read_if_there, path),
        write=partial(replace_text, path),
        randomness=secrets.token_bytes,
    )
