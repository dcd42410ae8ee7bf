"""Dead letters: records that can never be valid, to read, to replay and to drop."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from datetime import datetime
from typing import Any, TypedDict, Unpack
from urllib.parse import quote

from sluice_client.calling import Caller, parsed
from sluice_client.documents import command_body
from sluice_client.filters import pairs, rfc3339
from sluice_client.transport import Call, Repeat
from sluice_contracts.http_dead_letters import (
    DeadLetterContentDocument,
    DeadLetterDocument,
    DeadLetterListDocument,
    LetterState,
)

__all__ = ["DeadLetterFilters", "DeadLetters"]


class DeadLetterFilters(TypedDict, total=False):
    """What selects dead letters; all of it has to hold.

    `reasons` are types of problems. `since` and `until` are about when the record was rejected.
    """

    states: Iterable[LetterState]
    reasons: Iterable[str]
    tenant: str | None
    since: datetime | None
    until: datetime | None


class DeadLetters:
    """The dead letters that a gateway knows; all of it needs the scope `dlq`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def list(
        self, *, page_size: int = 100, **filters: Unpack[DeadLetterFilters]
    ) -> AsyncGenerator[DeadLetterDocument]:
        """Yield dead letters, newest first, without what they hold."""
        query = (
            *pairs("state", filters.get("states", ())),
            *pairs("reason", filters.get("reasons", ())),
            *pairs("tenant", filters.get("tenant")),
            *pairs("since", rfc3339(filters.get("since"))),
            *pairs("until", rfc3339(filters.get("until"))),
            ("limit", str(page_size)),
        )
        cursor: str | None = None
        while True:
            call = Call(
                method="GET", path="/v1/dead-letters", query=(*query, *pairs("cursor", cursor))
            )
            page = parsed(DeadLetterListDocument, await self._caller.call(call))
            for letter in page.dead_letters:
                yield letter
            cursor = page.next_cursor
            if cursor is None:
                return

    async def show(self, id: str) -> DeadLetterContentDocument:  # noqa: A002 - as everywhere
        """Return one, with its problem and what it holds.

        Raises:
            NotFoundError: there is no such letter.
        """
        call = Call(method="GET", path=_path(id))
        return parsed(DeadLetterContentDocument, await self._caller.call(call))

    async def replay(
        self,
        id: str,  # noqa: A002 - as everywhere
        *,
        value: Mapping[str, Any] | None = None,
        reason: str | None = None,
    ) -> DeadLetterDocument:
        """Start its run, or carry out its command; `decision.run` of the answer says which run.

        `value` is a request or command that takes the place of the record.

        Raises:
            InvalidRequestError: the record is still not valid; the letter stays open.
            NotApplicableError: the letter is not open.
            OutcomeUnknownError: read the letter, and replay it again if it is still open.
        """
        body = {"reason": reason, "value": None if value is None else dict(value)}
        return await self._decide(id, "replay", body)

    async def drop(
        self,
        id: str,  # noqa: A002 - as everywhere
        *,
        reason: str | None = None,
    ) -> DeadLetterDocument:
        """Note that nobody needs it; it can still be read.

        Raises:
            NotApplicableError: the letter is not open.
            OutcomeUnknownError: read the letter, and drop it again if it is still open.
        """
        return await self._decide(id, "drop", {"reason": reason})

    async def _decide(
        self, letter: str, verb: str, body: Mapping[str, object]
    ) -> DeadLetterDocument:
        call = Call(
            method="POST",
            path=f"{_path(letter)}/{verb}",
            body=command_body(**body),
            # A second one would find that the letter is not open; a command could be given twice.
            repeat=Repeat.IF_NOTHING_WAS_WRITTEN,
        )
        unclear = f"Read dead letter {letter!r}, and {verb} it again if it is still open."
        return parsed(DeadLetterDocument, await self._caller.call(call, unclear=unclear))


def _path(letter: str) -> str:
    return f"/v1/dead-letters/{quote(letter, safe='')}"
