"""Follows the log of a step over broken connections: each line comes once, and none is missed."""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Final

from pydantic import ValidationError

from sluice_client.calling import Caller, ProblemAnswerError
from sluice_client.errors import UnexpectedAnswerError
from sluice_client.sse import EventParser, ServerSentEvent
from sluice_client.transport import BrokenError, Call, NotSentError
from sluice_contracts import log_lines

__all__ = ["LogLine", "follow_log"]

_LINE: Final = "log"
_END: Final = "end"


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """A line that a step has written; `place` is where to go on behind it."""

    text: str
    time: str | None
    """When it was written (RFC 3339)."""
    truncated: bool
    """Whether its end was left out."""
    place: str | None

    def __str__(self) -> str:
        """Return the text."""
        return self.text


async def follow_log(caller: Caller, call: Call, *, after: str | None) -> AsyncGenerator[LogLine]:
    """Yield the lines behind a place, until the server says that the log is complete.

    Raises:
        LogGoneError: the log is no longer kept.
        UnreachableError: no connection could be made for the time of the retries.
        SluiceError: the log is refused.
    """
    place = after
    attempts = caller.attempts(call)
    while True:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": place} if place else {})
        failure: Exception = BrokenError("The log broke off.")
        try:
            async with caller.stream(replace(call, headers=headers)) as answer:
                parser = EventParser(last_id=place or "", place=place or "")
                async for piece in answer.body:
                    for each in parser.feed(piece):
                        if each.type == _END:
                            return
                        if each.type == _LINE:
                            line = _line(each)
                            attempts.begin()
                            place = line.place or place
                            yield line
                    if parser.blocks > 1:
                        # The first one says only that a stream was opened.
                        attempts.begin()
        except (NotSentError, BrokenError, ProblemAnswerError) as e:
            failure = e
        await attempts.failed(failure)


def _line(event: ServerSentEvent) -> LogLine:
    """Return the line.

    Raises:
        BrokenError: it was cut.
        UnexpectedAnswerError: it is none of Sluice's.
    """
    try:
        members = json.loads(event.data)
    except ValueError:
        raise BrokenError("A line was cut.") from None
    try:
        line = log_lines.LogLine.model_validate(members)
    except ValidationError:
        raise UnexpectedAnswerError(
            "A line of the log cannot be read: it differs from the contract. A newer client may "
            "know it."
        ) from None
    return LogLine(
        text=line.text, time=line.time, truncated=line.truncated, place=event.last_id or None
    )
