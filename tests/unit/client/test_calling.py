"""What is repeated, how long, and what is said in the end."""

from collections.abc import Sequence

import pytest

from sluice_client import (
    ForbiddenError,
    NotFoundError,
    OutcomeUnknownError,
    ProblemError,
    ProblemType,
    Retries,
    SluiceError,
    Token,
    UnauthenticatedError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
)
from sluice_client.calling import Caller
from sluice_client.tokens import TokenSource
from sluice_client.transport import Answer, BrokenError, Call, NotSentError, Repeat
from tests.unit.client.scripted import Clock, ScriptedTransport, answer, refusal

GET = Call(method="GET", path="/v1/runs")
POST = Call(method="POST", path="/v1/runs")
ONCE = Call(method="POST", path="/v1/runs/1/retry", repeat=Repeat.IF_NOTHING_WAS_WRITTEN)
OK = answer()
GONE = BrokenError("connection lost")
AWAY = NotSentError("connection refused")


class Stage:
    def __init__(self, answers: Sequence[Answer | Exception], token: Token | None = None) -> None:
        self.clock = Clock()
        self.transport = ScriptedTransport(list(answers))
        self.caller = Caller(
            self.transport,
            tokens=TokenSource(token),
            retries=Retries(within=10.0, first_pause=1.0, longest_pause=4.0, chance=lambda: 1.0),
            clock=self.clock,
            sleep=self.clock.sleep,
        )


@pytest.mark.parametrize("call", [GET, POST, ONCE])
@pytest.mark.parametrize(
    "failure",
    [AWAY, refusal(ProblemType.OVERLOADED), refusal(ProblemType.UNAVAILABLE), answer(429)],
    ids=["away", "overloaded", "unavailable", "proxy"],
)
async def test_what_had_no_effect_is_repeated(call: Call, failure: Answer | Exception) -> None:
    stage = Stage([failure, failure, OK])
    assert await stage.caller.call(call) == OK
    assert len(stage.transport.calls) == 3
    assert stage.clock.pauses == [1, 2]


@pytest.mark.parametrize(
    "failure",
    [GONE, refusal(ProblemType.OUTCOME_UNKNOWN), refusal(ProblemType.INTERNAL), answer(502)],
    ids=["broken", "unknown", "internal", "proxy"],
)
async def test_what_may_have_had_an_effect_is_repeated_if_a_second_one_does_no_harm(
    failure: Answer | Exception,
) -> None:
    for call in (GET, POST):
        assert await Stage([failure, OK]).caller.call(call) == OK
    stage = Stage([failure, OK])
    with pytest.raises(OutcomeUnknownError, match="Look first"):
        await stage.caller.call(ONCE, unclear="Look first.")
    assert len(stage.transport.calls) == 1


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (refusal(ProblemType.UNKNOWN_RUN), NotFoundError),
        (refusal(ProblemType.FORBIDDEN), ForbiddenError),
        (refusal(ProblemType.UNAUTHENTICATED), UnauthenticatedError),
        (refusal(ProblemType.METHOD_NOT_ALLOWED), ProblemError),
        (answer(418), ProblemError),
        (answer(302, Location="http://elsewhere.example"), UnexpectedAnswerError),
    ],
)
async def test_what_would_fail_again_is_not_repeated(
    failure: Answer, error: type[SluiceError]
) -> None:
    stage = Stage([failure])
    with pytest.raises(error):
        await stage.caller.call(GET)
    assert len(stage.transport.calls) == 1


@pytest.mark.parametrize(
    ("call", "failure", "error"),
    [
        (GET, AWAY, UnreachableError),
        (GET, GONE, UnreachableError),
        # What only reads has written nothing, whatever went wrong.
        (GET, refusal(ProblemType.INTERNAL), UnavailableError),
        (GET, refusal(ProblemType.OUTCOME_UNKNOWN), UnavailableError),
        (GET, answer(502), UnavailableError),
        (POST, refusal(ProblemType.INTERNAL), OutcomeUnknownError),
        (POST, AWAY, UnreachableError),
        (POST, GONE, OutcomeUnknownError),
        (POST, refusal(ProblemType.OUTCOME_UNKNOWN), OutcomeUnknownError),
        (POST, refusal(ProblemType.UNAVAILABLE), UnavailableError),
    ],
)
async def test_failures_that_last_are_raised_in_time(
    call: Call, failure: Answer | Exception, error: type[SluiceError]
) -> None:
    stage = Stage([failure])
    with pytest.raises(error):
        await stage.caller.call(call)
    assert stage.clock.pauses == [1, 2, 4]
    assert stage.clock.now <= 10


async def test_what_may_have_been_done_once_is_said_whatever_comes_after() -> None:
    with pytest.raises(OutcomeUnknownError):
        await Stage([GONE, AWAY]).caller.call(POST)
    with pytest.raises(NotFoundError) as raised:
        await Stage([GONE, refusal(ProblemType.UNKNOWN_RUN)]).caller.call(POST, unclear="Look.")
    assert raised.value.__notes__ == ["An attempt before may have been carried out. Look."]


async def test_what_a_library_says_ends_before_the_advice() -> None:
    with pytest.raises(OutcomeUnknownError) as unknown:
        await Stage([GONE]).caller.call(POST, unclear="Look first.")
    assert str(unknown.value) == "connection lost. Look first."
    with pytest.raises(OutcomeUnknownError) as refused:
        await Stage([refusal(ProblemType.INTERNAL)]).caller.call(POST, unclear="Look first.")
    assert str(refused.value) == "Why. Look first."
    with pytest.raises(UnreachableError) as away:
        await Stage([AWAY]).caller.call(POST)
    assert str(away.value) == "Sluice did not answer: connection refused."


async def test_a_pause_is_as_long_as_the_server_asks_for() -> None:
    stage = Stage([refusal(ProblemType.OVERLOADED, Retry_After="7"), OK])
    await stage.caller.call(POST)
    [pause] = stage.clock.pauses
    assert 7 <= pause <= 8


async def test_a_pause_that_is_too_long_is_not_begun() -> None:
    stage = Stage([refusal(ProblemType.UNAVAILABLE, Retry_After="60")])
    with pytest.raises(UnavailableError):
        await stage.caller.call(POST)
    assert stage.clock.pauses == []


async def test_no_request_is_sent_while_the_quota_is_empty() -> None:
    limited = answer(RateLimit='"principal";r=0;t=60', RateLimit_Policy='"principal";q=10;w=60')
    stage = Stage([limited, OK])
    await stage.caller.call(POST)
    await stage.caller.call(GET)
    assert stage.clock.pauses == []
    await stage.caller.call(POST)
    assert stage.clock.pauses == [6.0]
    await stage.caller.call(POST)
    assert stage.clock.pauses == [6.0]


async def test_a_new_token_is_tried_at_once() -> None:
    tokens = iter(["old", "new", "newer"])

    async def token() -> str:
        return next(tokens)

    stage = Stage([refusal(ProblemType.UNAUTHENTICATED), OK], token=token)
    assert await stage.caller.call(POST) == OK
    assert stage.transport.tokens == ["old", "new"]


async def test_the_same_token_is_not_tried_again() -> None:
    stage = Stage([refusal(ProblemType.UNAUTHENTICATED)], token="slk_secret")
    with pytest.raises(UnauthenticatedError) as raised:
        await stage.caller.call(POST)
    assert len(stage.transport.calls) == 1
    assert "slk_secret" not in str(raised.value)
