"""Follows streams of events over broken connections: each event comes once, and none is missed."""

import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from http import HTTPStatus

from pydantic import ValidationError

from sluice_client.calling import Caller, ProblemAnswerError
from sluice_client.errors import UnexpectedAnswerError
from sluice_client.outcomes import Event
from sluice_client.sse import EventParser, ServerSentEvent
from sluice_client.transport import BrokenError, Call, NotSentError
from sluice_contracts.http_documents import RunDocument
from sluice_contracts.status import StatusEvent
from sluice_contracts.status_codec import QUEUED

__all__ = ["follow"]


async def follow(caller: Caller, call: Call, *, after: str | None) -> AsyncGenerator[Event]:
    """Yield the events behind a place, until the server says that there are no more.

    Raises:
        EventsGoneError: the events behind the place are no longer kept.
        UnreachableError: no connection could be made for the time of the retries.
        SluiceError: the stream is refused.
    """
    place = after
    attempts = caller.attempts(call)
    while True:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": place} if place else {})
        ended = False
        failure: Exception = BrokenError("The stream ended.")
        try:
            async with caller.stream(replace(call, headers=headers)) as answer:
                if answer.status == HTTPStatus.NO_CONTENT:
                    return
                parser = EventParser(last_id=place or "", place=place or "")
                async for piece in answer.body:
                    for each in parser.feed(piece):
                        event = _event(each)
                        attempts.begin()
                        ended = event.state.terminal
                        place = parser.place or None
                        yield event
                    place = parser.place or None
                    if parser.blocks > 1:
                        # The first one says only that a stream was opened.
                        attempts.begin()
        except (NotSentError, BrokenError, ProblemAnswerError) as e:
            failure = e
        # Behind a terminal event the next answer says at once whether there is more.
        if not ended:
            await attempts.failed(failure)


def _event(event: ServerSentEvent) -> Event:
    """Return the event.

    Raises:
        BrokenError: it was cut.
        UnexpectedAnswerError: it is none of Sluice's.
    """
    try:
        members = json.loads(event.data)
    except ValueError:
        raise BrokenError(f"An event of type {event.type!r} was cut.") from None
    try:
        if event.type == QUEUED:
            # The state of the run, without its parameters, which do not change.
            waiting = {"parameters": None, **members}
            state: StatusEvent = RunDocument.model_validate(waiting, extra="ignore")
            return Event(place=None, type=event.type, state=state)
        state = StatusEvent.model_validate_json(event.data, extra="ignore")
    except (TypeError, ValidationError) as e:
        places = e.error_count() if isinstance(e, ValidationError) else "all"
        raise UnexpectedAnswerError(
            f"An event of type {event.type!r} cannot be read: {places} members differ from the "
            "contract. A newer client may know them."
        ) from None
    return Event(place=event.last_id or None, type=event.type, state=state)
