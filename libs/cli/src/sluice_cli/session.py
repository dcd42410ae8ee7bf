"""Carries out a command: opens what it needs, and says how it went. The composition root."""

import asyncio
import os
import sys
import time
import webbrowser
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import typer

from sluice_cli.adapters.config_file import profile_of
from sluice_cli.adapters.connecting import over_http, over_kafka
from sluice_cli.adapters.readiness import readiness_at
from sluice_cli.adapters.terminal import Terminal
from sluice_cli.domain.exit_codes import ExitCode
from sluice_cli.domain.failures import exit_code_of_error
from sluice_cli.domain.profiles import Connection, connection_of
from sluice_cli.domain.usage import UsageError
from sluice_cli.invocation import Invocation
from sluice_cli.ports import Client, Session
from sluice_cli.services.doctor import Brokers, Canary, Ways, examine
from sluice_client import Retries, Sluice, SluiceError

__all__ = ["Session", "Tools", "carry_out", "completed", "examined", "with_client", "with_gateway"]

_COMPLETION_S: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What reaches the world; tests have others."""

    gateway: Callable[[Connection], Sluice] = over_http
    brokers: Callable[[Connection], AbstractAsyncContextManager[Brokers]] = over_kafka
    open_page: Callable[[str], object] = webbrowser.open


Job = Callable[[Session, Tools], Awaitable[ExitCode]]


def with_gateway(
    invocation: Invocation,
    job: Callable[[Sluice, Session], Awaitable[ExitCode]],
    *,
    refusal: str = "Only the gateway can do this: leave out --kafka.",
) -> NoReturn:
    """Carry out what only the gateway can do; `refusal` is said to who wants to do without it."""

    async def connected(session: Session, tools: Tools) -> ExitCode:
        if session.connection.kafka is not None:
            raise UsageError(refusal)
        async with tools.gateway(session.connection) as sluice:
            return await job(sluice, session)

    carry_out(invocation, connected)


def with_client(
    invocation: Invocation, job: Callable[[Client, Session], Awaitable[ExitCode]]
) -> NoReturn:
    """Carry out what the gateway can do, and Kafka without it."""

    async def connected(session: Session, tools: Tools) -> ExitCode:
        client: AbstractAsyncContextManager[Any]
        over_brokers = session.connection.kafka is not None
        client = (tools.brokers if over_brokers else tools.gateway)(session.connection)
        async with client as sluice:
            return await job(sluice, session)

    carry_out(invocation, connected)


def examined(invocation: Invocation, *, health: str | None, canary: Canary | None) -> NoReturn:
    """Carry out `sluice doctor`, which needs all ways at once."""

    async def examining(session: Session, tools: Tools) -> ExitCode:
        ways = Ways(
            gateway=tools.gateway,
            brokers=tools.brokers,
            readiness=readiness_at,
            clock=time.monotonic,
        )
        return await examine(session, ways=ways, health=health, canary=canary)

    carry_out(invocation, examining)


def carry_out(invocation: Invocation, job: Job) -> NoReturn:
    """Carry out a command, and leave with its exit code; errors are shown.

    Raises:
        typer.Exit: always, but for the next.
        UsageError: the command is wrong.
    """
    terminal = Terminal(invocation.output, out=sys.stdout, err=sys.stderr)
    tools = invocation.tools if isinstance(invocation.tools, Tools) else Tools()
    try:
        session = Session(connection=_connection(invocation), screen=terminal)
        code = asyncio.run(_awaited(job(session, tools)))
        # Python's own flush at the end would find a broken pipe too late.
        sys.stdout.flush()
    except SluiceError as e:
        terminal.error("\n".join([str(e), *getattr(e, "__notes__", ())]))
        code = exit_code_of_error(e)
        if code is ExitCode.UNREACHABLE:
            terminal.note("`sluice doctor` looks at each part of the way.")
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader has had enough, as `head` has. Python would complain about it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.SUCCESS
    except OSError as e:
        terminal.error(f"The result could not be written: {e.strerror}.")
        # What is left in the buffer would fail again at Python's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.OTHER
    raise typer.Exit(code)


async def _awaited(job: Awaitable[ExitCode]) -> ExitCode:
    return await job


def _connection(invocation: Invocation) -> Connection:
    profile = profile_of(invocation.profile, environment=os.environ)
    token = os.environ.get("SLUICE_TOKEN") or None
    if token is not None and not token.isprintable():
        raise UsageError("SLUICE_TOKEN must be one line of printable text.")
    return connection_of(
        profile,
        url=invocation.url,
        kafka=invocation.kafka,
        tenant=invocation.tenant,
        token_file=None if invocation.token_file is None else str(invocation.token_file),
        token=token,
    )


def completed(
    given: Mapping[str, Any],
    names: Callable[[Sluice], Awaitable[list[tuple[str, str]]]],
    *,
    tools: object,
) -> list[tuple[str, str]]:
    """Return the names that the gateway knows, with what they mean; none if it takes long."""
    opened = tools.gateway if isinstance(tools, Tools) else _quickly

    async def asked() -> list[tuple[str, str]]:
        async with (
            asyncio.timeout(_COMPLETION_S),
            opened(_connection(Invocation(**given))) as sluice,
        ):
            return await names(sluice)

    # A person who types wants no message in the middle of the line.
    with suppress(SluiceError, UsageError, TimeoutError):
        return asyncio.run(asked())
    return []


def _quickly(connection: Connection) -> Sluice:
    return over_http(connection, retries=Retries(within=0.0, timeout=_COMPLETION_S))
