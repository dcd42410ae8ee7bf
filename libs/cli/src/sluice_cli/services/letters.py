"""Dead letters: lists, shows, replays and drops them."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from sluice_cli.domain.exit_codes import ExitCode
from sluice_cli.domain.filters import LetterSelection
from sluice_cli.domain.letter_text import letter_lines
from sluice_cli.domain.state_text import typed
from sluice_cli.domain.tables import letters_table
from sluice_cli.domain.usage import UsageError
from sluice_cli.ports import Session
from sluice_client import Sluice
from sluice_contracts.http_dead_letters import DeadLetterDocument

__all__ = ["drop_letter", "list_letters", "replay_letter", "show_letter"]

_LARGEST_PAGE: Final = 500


async def list_letters(
    sluice: Sluice, session: Session, *, selection: LetterSelection, limit: int
) -> ExitCode:
    """List dead letters, newest first."""
    found: list[DeadLetterDocument] = []
    filters = selection.filters(tenant=session.connection.tenant, now=session.screen.now())
    letters = sluice.dead_letters.list(page_size=min(limit, _LARGEST_PAGE), **filters)
    try:
        async for each in letters:
            found.append(each)
            if len(found) == limit:
                break
    finally:
        await letters.aclose()
    table = letters_table(found, now=session.screen.now())
    session.screen.results(found, table=table, names=[each.id for each in found])
    return ExitCode.SUCCESS


async def show_letter(sluice: Sluice, session: Session, *, letter_id: str) -> ExitCode:
    """Show a dead letter with what it holds."""
    letter = await sluice.dead_letters.show(letter_id)
    session.screen.result(letter, lines=letter_lines(letter), name=letter.id)
    return ExitCode.SUCCESS


async def replay_letter(
    sluice: Sluice,
    session: Session,
    *,
    letter_id: str,
    value: str | None,
    read_text: Callable[[str], str],
    reason: str | None,
) -> ExitCode:
    """Start the run of a dead letter, or carry out its command.

    Raises:
        UsageError: the value is not a document.
    """
    document = None if value is None else _document(value, read_text)
    letter = await sluice.dead_letters.replay(letter_id, value=document, reason=reason)
    run = letter.decision.run if letter.decision else None
    lines = [f"{letter.id}: replayed"]
    if run is not None:
        lines.append(f"Its run is {run.id}: {typed('watch', run.id, run.tenant)}")
    session.screen.result(letter, lines=lines, name=run.id if run else letter.id)
    return ExitCode.SUCCESS


async def drop_letter(
    sluice: Sluice, session: Session, *, letter_id: str, reason: str | None
) -> ExitCode:
    """Note that nobody needs a dead letter."""
    letter = await sluice.dead_letters.drop(letter_id, reason=reason)
    session.screen.result(letter, lines=[f"{letter.id}: dropped"], name=letter.id)
    return ExitCode.SUCCESS


def _document(text: str, read_text: Callable[[str], str]) -> Mapping[str, Any]:
    try:
        found = json.loads(read_text(text[1:]) if text.startswith("@") else text)
    except (OSError, ValueError) as e:
        raise UsageError(f"--value: {e}.") from None
    if not isinstance(found, dict):
        raise UsageError("--value must be a JSON object: a request or a command.")
    return found
