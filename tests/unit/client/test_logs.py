"""A log may be cut anywhere: each line comes once, and none is lost."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sluice_client import LogGoneError, NotFoundError, ProblemType, Retries, Run
from sluice_client.calling import Caller
from sluice_client.tokens import TokenSource
from sluice_client.transport import Answer, BrokenError, Call, StreamAnswer
from sluice_contracts.ids import RunKey
from tests.unit.client.scripted import Clock, ScriptedTransport, refusal

BEGIN = b"retry: 2000\n\n"
END = b"event: end\ndata: null\n\n"


def frame(number: int) -> bytes:
    text = f'{{"time":"2025-11-30T12:00:00.00000000{number}Z","text":"\u00e4 {number}"}}'
    return f"id: {number}:1\nevent: log\ndata: {text}\n\n".encode()


FRAMES = [frame(number) for number in (1, 2, 3)]
WHOLE = BEGIN + b"".join(FRAMES) + END


class Server(ScriptedTransport):
    """A transport whose first stream is cut, and whose others have what is behind the place."""

    def __init__(self, first: bytes, *, breaks: bool) -> None:
        super().__init__([])
        self._first: bytes | None = first
        self._breaks = breaks

    @asynccontextmanager
    async def stream(
        self, call: Call, *, token: str | None, within: float
    ) -> AsyncIterator[StreamAnswer]:
        self.calls.append(call)
        behind = int(call.headers.get("Last-Event-ID", "0:1").partition(":")[0])
        first, self._first = self._first, None

        async def body() -> AsyncIterator[bytes]:
            yield BEGIN + b"".join(FRAMES[behind:]) + END if first is None else first
            if first is not None and self._breaks:
                raise BrokenError("connection lost")

        yield StreamAnswer(status=200, headers={}, body=body())


def run_of(transport: ScriptedTransport) -> Run:
    clock = Clock()
    caller = Caller(
        transport,
        tokens=TokenSource(None),
        retries=Retries(within=10.0, first_pause=1.0, chance=lambda: 1.0),
        clock=clock,
        sleep=clock.sleep,
    )
    return Run(caller, RunKey("acme", "order-1"))


@pytest.mark.parametrize("breaks", [True, False])
async def test_a_log_is_cut_at_every_byte(breaks: bool) -> None:
    for at in range(len(WHOLE)):
        run = run_of(Server(WHOLE[:at], breaks=breaks))
        found = [each.text async for each in run.logs("greet", follow=True)]
        assert found == ["\u00e4 1", "\u00e4 2", "\u00e4 3"], WHOLE[:at]


async def test_what_is_asked_for_is_in_the_path_and_the_query() -> None:
    server = Server(WHOLE, breaks=False)
    lines = [each async for each in run_of(server).logs("count(0:a/b)", tail=5, after="1:1")]
    assert [each.place for each in lines] == ["1:1", "2:1", "3:1"]
    [call] = server.calls
    assert call.path == "/v1/runs/order-1/steps/count%280%3Aa%2Fb%29/logs"
    assert call.query == (("tenant", "acme"), ("tail", "5"))
    assert call.headers["Last-Event-ID"] == "1:1"


@pytest.mark.parametrize(
    ("kind", "error"),
    [(ProblemType.LOG_GONE, LogGoneError), (ProblemType.LOGS_DISABLED, NotFoundError)],
)
async def test_a_log_that_there_is_not_is_an_error(
    kind: ProblemType, error: type[Exception]
) -> None:
    answers: list[Answer | Exception] = [refusal(kind)]
    with pytest.raises(error):
        await anext(run_of(ScriptedTransport(answers)).logs("greet"))
