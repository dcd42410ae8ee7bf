"""The client over real connections, which break, lie and lead elsewhere."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sluice_client import (
    EventsGoneError,
    OutcomeUnknownError,
    Phase,
    Retries,
    Run,
    Sluice,
    SluiceError,
    Token,
    UnexpectedAnswerError,
    UnreachableError,
)
from sluice_contracts.problems import ProblemType, problem
from sluice_contracts.status_codec import event_type
from tests.unit.gateway.harness import published

QUICK = Retries(within=2.0, timeout=5.0, first_pause=0.001)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler, *, token: Token | None = None) -> AsyncIterator[Sluice]:
    """Give a client of a server that answers every request so."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(app) as server:
        address = str(server.make_url("/"))
        async with Sluice(address, token=token, retries=QUICK) as sluice:
            yield sluice


def frame(number: int, phase: Phase = Phase.RUNNING) -> bytes:
    data = published(number, phase).event.model_dump_json()
    return f"id: 0:{number}\nevent: {event_type(phase)}\ndata: {data}\n\n".encode()


async def streamed(request: web.Request, *pieces: bytes, cut: bool) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for piece in pieces:
        await response.write(piece)
    if cut:
        assert request.transport is not None
        request.transport.abort()
    else:
        await response.write_eof()
    return response


async def numbers(run: Run) -> list[int]:
    return [event.state.sequence async for event in run.events()]


@pytest.mark.parametrize("cut", [True, False], ids=["cut", "ended"])
async def test_each_event_comes_once_however_often_the_stream_breaks(cut: bool) -> None:
    frames = [frame(1), frame(2), frame(3), frame(4, Phase.SUCCEEDED)]

    async def handler(request: web.Request) -> web.StreamResponse:
        last = int(request.headers.get("Last-Event-ID", "0:0").partition(":")[2])
        if last == len(frames):
            return web.Response(status=204)
        # One whole event at a time, and a part of the next one.
        rest = frames[last + 1][:50] if last + 1 < len(frames) else b""
        return await streamed(request, frames[last], rest, cut=cut)

    async with serving(handler) as sluice:
        assert await numbers(sluice.run("order-1")) == [1, 2, 3, 4]


async def test_a_comment_moves_the_place_on() -> None:
    asked: list[str | None] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("Last-Event-ID"))
        if len(asked) == 1:
            return await streamed(request, b": keepalive\nid: 0:17,1:4\n\n", cut=True)
        return web.Response(status=204)

    async with serving(handler) as sluice:
        assert [event async for event in sluice.events()] == []
    assert asked == [None, "0:17,1:4"]


async def test_a_stream_that_ends_as_soon_as_it_is_opened_is_given_up() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return await streamed(request, b"retry: 2000\n\n", cut=True)

    async with serving(handler) as sluice:
        with pytest.raises(UnreachableError):
            await anext(sluice.events())


async def test_a_stream_goes_on_with_a_new_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old")
    seen: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers["Authorization"])
        if seen[-1] == "Bearer new":
            return web.Response(status=204)
        # It is replaced while the request is on its way.
        file.write_text("new")
        return web.Response(status=401)

    async with serving(handler, token=file) as sluice:
        assert [event async for event in sluice.events()] == []
    assert seen == ["Bearer old", "Bearer new"]


async def test_events_that_are_gone_are_not_asked_for_again() -> None:
    asked = 0

    async def handler(_: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        body = problem(ProblemType.LOG_TRUNCATED, "List the runs.").model_dump_json()
        return web.Response(status=410, text=body, content_type="application/problem+json")

    async with serving(handler) as sluice:
        with pytest.raises(EventsGoneError, match="List the runs"):
            await anext(sluice.events(after="0:1"))
    assert asked == 1


async def test_a_start_whose_answer_is_lost_is_repeated_with_the_same_id() -> None:
    ids: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        ids.append((await request.json())["id"])
        if len(ids) < 3:
            assert request.transport is not None
            request.transport.abort()
        links = {"self": "/", "events": "/"}
        document = {"id": ids[0], "tenant": "default", "workflow": "greet", "links": links}
        accepted = {**document, "workflow_name": "run-1", "phase": "Accepted", "of-tomorrow": 1}
        return web.json_response(accepted, status=202)

    async with serving(handler) as sluice:
        run = await sluice.start("greet")
    assert ids == [run.id] * 3


async def test_a_retry_whose_answer_is_lost_is_left_to_the_caller() -> None:
    asked = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with serving(handler) as sluice:
        with pytest.raises(OutcomeUnknownError, match="Read run 'order-1'"):
            await sluice.run("order-1").retry()
    assert asked == 1


async def test_nobody_at_the_address_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        # Nothing listens there, and nothing else can.
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with Sluice(address, retries=Retries(within=0.0)) as sluice:
            with pytest.raises(UnreachableError, match="did not answer"):
                await sluice.counts()
            with pytest.raises(UnreachableError):
                await sluice.run("order-1").retry()
            with pytest.raises(UnreachableError):
                await anext(sluice.run("order-1").events())


async def test_a_token_is_not_sent_elsewhere() -> None:
    seen: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("Authorization", ""))
        raise web.HTTPFound("/elsewhere")

    async with serving(handler, token="slk_secret") as sluice:
        with pytest.raises(UnexpectedAnswerError, match="redirection"):
            await sluice.counts()
    assert seen == ["Bearer slk_secret"]


@pytest.mark.parametrize("text", ["<html>secret</html>", '{"counts": "secret"}', ""])
async def test_an_answer_of_something_else_is_said_without_its_text(text: str) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(text=text)

    async with serving(handler) as sluice:
        with pytest.raises(UnexpectedAnswerError, match="Check the address") as raised:
            await sluice.counts()
    assert "secret" not in str(raised.value)


async def test_a_closed_client_says_so() -> None:
    sluice = Sluice("http://localhost:8080")
    await sluice.close()
    with pytest.raises(SluiceError, match="The client is closed"):
        await sluice.counts()


@pytest.mark.parametrize(
    "address",
    ["", "localhost:8080", "ftp://host", "http://ada:secret@host", "http://host?token=secret"],
)
def test_addresses_that_are_none_or_have_secrets_are_refused(address: str) -> None:
    with pytest.raises(ValueError, match="The address must") as raised:
        Sluice(address)
    assert "secret" not in str(raised.value)


async def test_a_gateway_may_have_a_path() -> None:
    paths: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        paths.append(request.path_qs)
        return web.json_response({"counts": {}, "total": 0})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with (
        TestServer(app) as server,
        Sluice(str(server.make_url("/sluice/"))) as sluice,
    ):
        await sluice.counts(labels={"team": "a b&c"})
    assert paths == ["/sluice/v1/runs:counts?label=team%3Da+b%26c"]
