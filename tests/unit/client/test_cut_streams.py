"""A stream may be cut anywhere, or end with its access: each event comes once, and none is lost."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from sluice_client import (
    ForbiddenError,
    NotFoundError,
    Phase,
    ProblemType,
    Retries,
    Run,
    SluiceError,
    UnauthenticatedError,
    UnexpectedAnswerError,
    UnreachableError,
)
from sluice_client.calling import Caller
from sluice_client.tokens import TokenSource
from sluice_client.transport import Answer, BrokenError, Call, StreamAnswer
from sluice_contracts.ids import RunKey
from sluice_contracts.status_codec import event_type
from tests.unit.client.scripted import Clock, ScriptedTransport, refusal
from tests.unit.gateway.harness import published

PHASES = (Phase.RUNNING, Phase.SUSPENDED, Phase.SUCCEEDED)
BEGIN = b"retry: 2000\n\n"
ACCESS_ENDED = b": access ended, connect again\n\n"


def frame(number: int) -> bytes:
    phase = PHASES[number - 1]
    data = published(number, phase, message="ä").event.model_dump_json()
    return f"id: 0:{number}\nevent: {event_type(phase)}\ndata: {data}\n\n".encode()


FRAMES = [frame(number) for number in range(1, len(PHASES) + 1)]

Pieces = list[bytes | Exception]


class Server(ScriptedTransport):
    """A transport whose first stream is given, and whose others have what is behind the place."""

    def __init__(self, first: Pieces, *, then: Answer | None = None) -> None:
        super().__init__([])
        self.places: list[str | None] = []
        self._first: Pieces | None = first
        self._then = then

    @asynccontextmanager
    async def stream(
        self, call: Call, *, token: str | None, within: float
    ) -> AsyncIterator[StreamAnswer]:
        place = call.headers.get("Last-Event-ID")
        self.places.append(place)
        first, self._first = self._first, None
        behind = int((place or "0:0").removeprefix("0:"))
        status, pieces = 200, [BEGIN, *FRAMES[behind:]] if first is None else first
        headers = {}
        if first is None and self._then is not None:
            status, headers = self._then.status, dict(self._then.headers)
            pieces = [self._then.body]
        elif first is None and behind == len(FRAMES):
            status, pieces = 204, []

        async def body() -> AsyncIterator[bytes]:
            for piece in pieces:
                if isinstance(piece, Exception):
                    raise piece
                yield piece

        yield StreamAnswer(status=status, headers=headers, body=body())


class Stage:
    def __init__(self, server: ScriptedTransport) -> None:
        self.clock = Clock()
        caller = Caller(
            server,
            tokens=TokenSource(None),
            retries=Retries(within=10.0, first_pause=1.0, chance=lambda: 1.0),
            clock=self.clock,
            sleep=self.clock.sleep,
        )
        self.run = Run(caller, RunKey("default", "order-1"))
        self.numbers: list[int] = []

    async def follow(self, *, after: str | None = None) -> None:
        async for event in self.run.events(after=after):
            self.numbers.append(event.state.sequence)


def ended(head: bytes) -> Pieces:
    return [head]


def broken(head: bytes) -> Pieces:
    return [head, BrokenError("connection lost")]


def closed_by_a_proxy(head: bytes) -> Pieces:
    """Give what is left of an event an end of its own."""
    return [head, b"\n\n"]


@pytest.mark.parametrize("end", [ended, broken, closed_by_a_proxy])
async def test_a_stream_is_cut_at_every_byte(end: Callable[[bytes], Pieces]) -> None:
    whole = BEGIN + b"".join(FRAMES)
    for at in range(len(whole) + 1):
        stage = Stage(Server(end(whole[:at])))
        await stage.follow()
        assert stage.numbers == [1, 2, 3], whole[:at]


async def test_a_stream_comes_in_any_two_portions() -> None:
    whole = BEGIN + b"".join(FRAMES)
    for at in range(len(whole) + 1):
        server = Server([whole[:at], whole[at:]])
        stage = Stage(server)
        await stage.follow()
        assert (stage.numbers, server.places) == ([1, 2, 3], [None, "0:3"]), whole[:at]


async def test_what_comes_before_a_cut_event_comes_once() -> None:
    server = Server([BEGIN + FRAMES[0] + FRAMES[1] + FRAMES[2][:200] + b"\n\n"])
    stage = Stage(server)
    await stage.follow()
    assert stage.numbers == [1, 2, 3]
    assert server.places == [None, "0:2", "0:3"]


async def test_an_event_that_is_always_cut_is_given_up_in_time() -> None:
    cut = FRAMES[0][:200] + b"\n\n"
    stage = Stage(ScriptedTransport([Answer(status=200, headers={}, body=BEGIN + cut)]))
    with pytest.raises(UnreachableError, match="cut"):
        await stage.follow()
    assert (stage.numbers, stage.clock.now <= 10) == ([], True)


async def test_an_event_of_another_contract_is_not_asked_for_again() -> None:
    server = Server([BEGIN, b'id: 0:1\nevent: sluice.run.running\ndata: {"of": "tomorrow"}\n\n'])
    with pytest.raises(UnexpectedAnswerError, match="A newer client"):
        await Stage(server).follow()
    assert server.places == [None]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (ProblemType.UNAUTHENTICATED, UnauthenticatedError),
        (ProblemType.FORBIDDEN, ForbiddenError),
        (ProblemType.UNKNOWN_RUN, NotFoundError),
    ],
)
async def test_a_stream_that_ends_with_its_access_says_why(
    kind: ProblemType, error: type[SluiceError]
) -> None:
    server = Server([BEGIN, FRAMES[0], FRAMES[1], ACCESS_ENDED], then=refusal(kind))
    stage = Stage(server)
    with pytest.raises(error):
        await stage.follow()
    assert (stage.numbers, server.places) == ([1, 2], [None, "0:2"])


async def test_a_stream_goes_on_if_it_may_be_opened_again() -> None:
    """Something else is shown then, such as no outputs."""
    server = Server([BEGIN, FRAMES[0], ACCESS_ENDED])
    stage = Stage(server)
    await stage.follow()
    assert (stage.numbers, server.places) == ([1, 2, 3], [None, "0:1", "0:3"])
