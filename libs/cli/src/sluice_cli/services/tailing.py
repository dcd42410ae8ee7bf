"""Follows the events of all runs."""

from contextlib import aclosing

from sluice_cli.domain.exit_codes import ExitCode
from sluice_cli.domain.filters import Selection
from sluice_cli.domain.usage import UsageError
from sluice_cli.ports import Client, Session
from sluice_client import Sluice

__all__ = ["tail_events"]


async def tail_events(
    client: Client, session: Session, *, selection: Selection, after: str | None, count: int | None
) -> ExitCode:
    """Show the events of all runs that are selected, until it is interrupted, or `count` of them.

    Raises:
        UsageError: a filter is wrong.
    """
    if not isinstance(client, Sluice):
        raise UsageError("tail needs the gateway")
    shown = 0
    async with aclosing(client.events(after=after, **session.select(selection))) as events:
        async for event in events:
            session.screen.event(event)
            shown += 1
            if shown == count:
                break
    return ExitCode.SUCCESS
