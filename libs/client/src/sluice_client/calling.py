"""Repeats requests that failed, as far as that is safe, until there is an answer."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from sluice_client.errors import (
    OutcomeUnknownError,
    SluiceError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
    as_sentence,
    problem_error,
)
from sluice_client.retries import Retries, pause_between_requests, retry_after
from sluice_client.tokens import TokenSource
from sluice_client.transport import (
    Answer,
    BrokenError,
    Call,
    NotSentError,
    Repeat,
    StreamAnswer,
    Transport,
)
from sluice_contracts.http_documents import HttpProblem

__all__ = ["Attempts", "Caller", "ProblemAnswerError", "parsed"]

_PROBLEM: Final = "application/problem+json"

M = TypeVar("M", bound=BaseModel)


class Caller:
    """Sends requests, and repeats those that may be repeated.

    Args:
        transport: sends each once.
        tokens: gives the token of each request.
        retries: how long to try.
        clock: seconds that never go back.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        tokens: TokenSource,
        retries: Retries,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.retries = retries
        self._transport = transport
        self._tokens = tokens
        self._clock = clock
        self._sleep = sleep
        self._not_before = 0.0

    async def call(self, call: Call, *, unclear: str = "") -> Answer:
        """Return the answer, unless it is a problem.

        Args:
            call: the request.
            unclear: what to do if it is not known whether the request was carried out.

        Raises:
            SluiceError: the last failure.
        """
        attempts = Attempts(self, call, unclear=unclear)
        while True:
            try:
                await self._keep_to_the_quota(call)
                return await self._attempt(call)
            except (NotSentError, BrokenError, ProblemAnswerError) as e:
                await attempts.failed(e)

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[StreamAnswer]:
        """Open a stream once.

        Raises:
            NotSentError, BrokenError, ProblemAnswerError: it was not opened.
            SluiceError: opening it again makes no sense.
        """
        token = await self._tokens.current()
        within = self.retries.timeout
        async with self._transport.stream(call, token=token, within=within) as answer:
            if answer.status == HTTPStatus.UNAUTHORIZED and await self._tokens.current() != token:
                raise BrokenError("The token was replaced.")
            if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
                body = b"".join([piece async for piece in answer.body])
                raise _refused(Answer(status=answer.status, headers=answer.headers, body=body))
            yield answer

    def attempts(self, call: Call) -> "Attempts":
        """Count the attempts to do something that takes more than one request."""
        return Attempts(self, call, unclear="")

    def now(self) -> float:
        """Return the time in seconds; it never goes back."""
        return self._clock()

    async def pause(self, seconds: float) -> None:
        """Wait."""
        await self._sleep(seconds)

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def _attempt(self, call: Call) -> Answer:
        within = self.retries.timeout + call.wait
        token = await self._tokens.current()
        answer = await self._transport.send(call, token=token, within=within)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            # The file or the function may have another one by now.
            newer = await self._tokens.current()
            if newer != token:
                answer = await self._transport.send(call, token=newer, within=within)
        if "RateLimit" in answer.headers:
            self._not_before = self._clock() + pause_between_requests(answer.headers)
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise _refused(answer)
        return answer

    async def _keep_to_the_quota(self, call: Call) -> None:
        """Wait until there is room for one more request; reading is not counted."""
        ahead = self._not_before - self._clock()
        if call.method == "POST" and 0 < ahead <= self.retries.within:
            await self._sleep(ahead)


class Attempts:
    """Counts attempts that failed, and waits before each repetition."""

    def __init__(self, caller: Caller, call: Call, *, unclear: str) -> None:
        self._caller = caller
        self._call = call
        self._unclear = unclear
        self._may_be_done = False
        self.begin()

    def begin(self) -> None:
        """Begin to count: something has succeeded."""
        self._began = self._caller.now()
        self._number = 0

    async def failed(self, failure: Exception) -> None:
        """Wait before the next attempt.

        Raises:
            SluiceError: there is none.
        """
        problem = failure.problem if isinstance(failure, ProblemAnswerError) else None
        asked = failure.retry_after if isinstance(failure, ProblemAnswerError) else None
        sure = problem.wrote_nothing if problem else isinstance(failure, NotSentError)
        repeatable = problem.repeatable if problem else True
        self._may_be_done |= not sure and self._call.method == "POST"
        allowed = repeatable and (sure or self._call.repeat is Repeat.ALWAYS)
        retries = self._caller.retries
        pause = retries.pause(self._number, asked=asked)
        if not allowed or self._caller.now() - self._began + pause > retries.within:
            raise self._error(failure, problem) from failure
        self._number += 1
        await self._caller.pause(pause)

    def _error(self, failure: Exception, problem: HttpProblem | None) -> SluiceError:
        if problem is None or (problem.repeatable and self._may_be_done):
            why = as_sentence(problem.detail if problem else str(failure))
            if self._may_be_done:
                return OutcomeUnknownError(f"{why} {self._unclear}".rstrip(), problem=problem)
            return UnreachableError(f"Sluice did not answer: {why}")
        if problem.repeatable:
            # Whatever went wrong, what only reads has written nothing.
            return UnavailableError(problem)
        error = problem_error(problem)
        if self._may_be_done:
            error.add_note(f"An attempt before may have been carried out. {self._unclear}".rstrip())
        return error


class ProblemAnswerError(Exception):
    """The answer is a problem, which may go away."""

    def __init__(self, problem: HttpProblem, *, retry_after: float | None) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.retry_after = retry_after


def _refused(answer: Answer) -> Exception:
    if answer.status < HTTPStatus.BAD_REQUEST:
        return UnexpectedAnswerError(
            f"The answer is a redirection ({answer.status}), which Sluice never sends: give the "
            "client the address of the gateway itself."
        )
    media_type = answer.headers.get("Content-Type", "").partition(";")[0]
    after = retry_after(answer.headers, now=datetime.now(UTC))
    if media_type == _PROBLEM:
        return ProblemAnswerError(parsed(HttpProblem, answer), retry_after=after)
    problem = HttpProblem(
        type="about:blank",
        title=_phrase(answer.status),
        status=min(answer.status, 599),
        detail="The answer is not one of Sluice's. Check the address, and proxies before it.",
    )
    return ProblemAnswerError(problem, retry_after=after)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown status"


def parsed(model: type[M], answer: Answer) -> M:
    """Return the document of an answer; members that are not known are passed over.

    Raises:
        UnexpectedAnswerError: it is none.
    """
    try:
        return model.model_validate_json(answer.body, extra="ignore")
    except ValidationError as e:
        places = ", ".join("/".join(map(str, each["loc"])) or "document" for each in e.errors()[:3])
        raise UnexpectedAnswerError(
            f"The answer ({answer.status}) is not a {model.__name__} at: {places}. Check the "
            "address, and the versions of client and gateway."
        ) from None
