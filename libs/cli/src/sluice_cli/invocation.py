"""What every command takes: how to reach Sluice, and how to write the result."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Concatenate, Final, ParamSpec

import typer

from sluice_cli.domain.exit_codes import ExitCode
from sluice_cli.domain.formats import Format
from sluice_cli.domain.typed_texts import check_texts
from sluice_cli.domain.usage import UsageError

__all__ = ["SHARED", "Invocation", "shared_options"]

P = ParamSpec("P")


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """The values of the shared options; `tools` are what a test gives, else None."""

    profile: Annotated[
        str | None,
        typer.Option(metavar="NAME", envvar="SLUICE_PROFILE", help="Profile of the configuration."),
    ] = None
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", envvar="SLUICE_URL", help="Address of the gateway."),
    ] = None
    kafka: Annotated[
        str | None,
        typer.Option(
            metavar="BROKERS",
            envvar="SLUICE_BROKERS",
            help="Do without the gateway: brokers of Kafka, as host:port.",
        ),
    ] = None
    tenant: Annotated[
        str | None,
        typer.Option(metavar="NAME", envvar="SLUICE_TENANT", help="Who the runs belong to."),
    ] = None
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", envvar="SLUICE_TOKEN_FILE", help="File of the key or token."),
    ] = None
    output: Annotated[Format, typer.Option("--output", "-o", help="How the result is written.")] = (
        Format.TABLE
    )
    tools: object = None


SHARED: Final = tuple(name for name in Invocation.__dataclass_fields__ if name != "tools")


def _names_as_typed(context: typer.Context) -> dict[str, str]:
    """Return how each option and argument is called on the command line."""
    return {
        str(each.name): each.opts[0] if each.opts[0].startswith("-") else str(each.metavar)
        for each in context.command.params
    }


def shared_options(
    function: Callable[Concatenate[Invocation, P], None],
) -> Callable[..., None]:
    """Return the function with the shared options in the place of its first parameter."""

    @functools.wraps(function)
    def command(context: typer.Context, *args: P.args, **kwargs: P.kwargs) -> None:
        values: dict[str, Any] = kwargs
        shared = {name: values.pop(name) for name in SHARED}
        try:
            check_texts({**values, **shared}, shown=_names_as_typed(context))
            function(Invocation(**shared, tools=context.obj), *args, **kwargs)
        except UsageError as e:
            typer.echo(e, err=True)
            raise typer.Exit(ExitCode.USAGE) from None

    own = list(inspect.signature(function).parameters.values())[1:]
    added = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=Invocation.__annotations__[name],
        )
        for name, field in Invocation.__dataclass_fields__.items()
        if name in SHARED
    ]
    context = inspect.Parameter(
        "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
    )
    parameters = [
        context,
        *(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own),
        *added,
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # read by typer
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    del command.__wrapped__
    return command
