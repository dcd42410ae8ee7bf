"""Follows the events of all runs."""

from contextlib import aclosing

from sluice_cli.domain.exit_codes import ExitCode
from sluice_cli.domain.filters import Selection
from sluice_cli.domain.usage import UsageError
from sluice_cli.ports import Client, Session

__all__ = ["tail_events"]


async def tail_events(
    client: Client, session: Session, *, selection: Selection, after: str | None, count: int | None
) -> ExitCode:
    """Show the events of all runs that are selected, until it is interrupted, or `count` of them.

    Raises:
        UsageError: a filter or the place is wrong.
    """
    shown = 0
    try:
        async with aclosing(client.events(after=after, **session.select(selection))) as events:
            async for event in events:
                session.screen.event(event)
                shown += 1
                if shown == count:
                    break
    except ValueError as e:
        raise UsageError(f"--after: {e}") from None
    return ExitCode.SUCCESS
