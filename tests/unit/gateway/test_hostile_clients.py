"""What clients that send much, little or nothing take from the others: nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from unittest.mock import Mock

import pytest
from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import make_mocked_request

from sluice_contracts.topic_sets import TopicSets
from sluice_contracts.topics import MAX_REQUEST_BYTES
from sluice_gateway.domain.trusted_proxies import TrustedProxies
from sluice_gateway.handlers.app_keys import LIMITS, LOAD_SHEDDER, TRUSTED_PROXIES, Limits
from sluice_gateway.handlers.request_body import admitted_body
from tests.unit.gateway.harness import GREET, Gateway, load_shedder_of, running_gateway

HOSTILE = "127.0.0.2"
BODY = json.dumps(GREET).encode()
# With several, no set gets all places: see test_waiting_for_topics.
ONE_SET = TopicSets()


class Upload:
    """A request on a connection of its own, whose body its client sends as it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def begin(self, *, length: int | None, forwarded_for: str | None = None) -> int:
        """Send the head; gives the status that comes first, 100 once the body is waited for."""
        size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        forwarded = f"X-Forwarded-For: {forwarded_for}\r\n" if forwarded_for else ""
        self.writer.write(
            "POST /v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"{forwarded}Expect: 100-continue\r\n{size}\r\n\r\n".encode()
        )
        status, _ = await self.answer()
        return status

    async def answer(self) -> tuple[int, dict[str, str]]:
        """Give status and headers (lower-case) of what comes next."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        line, *lines = head.split("\r\n")[:-2]
        headers = dict(each.lower().split(": ", 1) for each in lines)
        await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(line.split()[1]), headers


@asynccontextmanager
async def uploads(gateway: Gateway) -> AsyncIterator["Uploads"]:
    async with AsyncExitStack() as stack:
        yield Uploads(gateway, stack)


class Uploads:
    """Opens connections, and closes them in the end."""

    def __init__(self, gateway: Gateway, stack: AsyncExitStack) -> None:
        self._gateway = gateway
        self._stack = stack

    async def open(self, address: str = HOSTILE) -> Upload:
        client = self._gateway.client
        reader, writer = await asyncio.open_connection(
            client.host, client.port, local_addr=(address, 0)
        )
        self._stack.callback(writer.close)
        return Upload(reader, writer)


async def test_declared_bodies_that_do_not_come_take_no_bytes(tmp_path: Path) -> None:
    admission = load_shedder_of(max_requests=512, max_bytes=16 * 1024 * 1024)
    async with running_gateway(tmp_path, admission=admission) as gateway, uploads(gateway) as them:
        for size in [MAX_REQUEST_BYTES] * 10 + [777_216]:
            upload = await them.open()
            assert await upload.begin(length=size) == 100
            upload.writer.write(b"{")
        assert (await gateway.post(GREET)).status == 202


async def test_declared_bodies_that_do_not_come_do_not_count_as_requests_in_hand(
    tmp_path: Path,
) -> None:
    admission = load_shedder_of(max_requests=2)
    async with running_gateway(tmp_path, admission=admission) as gateway, uploads(gateway) as them:
        for _ in range(10):
            assert await (await them.open()).begin(length=1) == 100
        assert gateway.metric("sluice_gateway_in_flight_requests") == 0
        assert (await gateway.post(GREET)).status == 202


async def test_one_peer_cannot_take_all_bytes(tmp_path: Path) -> None:
    admission = load_shedder_of(max_bytes=1000, peer_share=0.5)
    async with running_gateway(tmp_path, admission=admission) as gateway, uploads(gateway) as them:
        first, second = await them.open(), await them.open()
        for upload in (first, second):
            assert await upload.begin(length=500) == 100
            upload.writer.write(b" " * 300)
        # Whichever comes second is refused, in the middle of its body.
        refused, going_on = await first_answered(first, second)
        status, headers = refused
        assert (status, headers["retry-after"]) == (429, "1")
        assert headers["content-type"] == "application/problem+json"
        assert admission.bytes_held == 300
        assert (await gateway.post(GREET)).status == 202
        # The other one goes on.
        going_on.writer.write(BODY.rjust(200))
        status, _ = await going_on.answer()
        assert (status, admission.bytes_held) == (202, 0)


async def first_answered(*them: Upload) -> tuple[tuple[int, dict[str, str]], Upload]:
    """Wait for an answer; gives it, and the one of the two that got none."""
    tasks = {asyncio.create_task(each.answer()): each for each in them}
    done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    [answered], [left] = done, waiting
    left.cancel()
    await asyncio.wait([left])
    return answered.result(), tasks[left]


async def test_a_connection_is_used_again_after_a_body_was_refused(tmp_path: Path) -> None:
    admission = load_shedder_of(max_bytes=100)
    async with running_gateway(tmp_path, admission=admission) as gateway, uploads(gateway) as them:
        upload = await them.open()
        assert await upload.begin(length=300) == 100
        upload.writer.write(b" " * 200)
        assert (await upload.answer())[0] == 429
        upload.writer.write(b" " * 100)
        assert await upload.begin(length=len(BODY)) == 100
        upload.writer.write(BODY)
        assert (await upload.answer())[0] == 202
        assert admission.bytes_held == 0


async def test_one_peer_cannot_take_all_places_of_coming_bodies(tmp_path: Path) -> None:
    admission = load_shedder_of(max_bodies=4, peer_share=0.5)
    async with running_gateway(tmp_path, admission=admission) as gateway, uploads(gateway) as them:
        for _ in range(2):
            assert await (await them.open()).begin(length=1) == 100
        third = await them.open()
        # The head was taken: the place is only asked for after that.
        assert await third.begin(length=1) == 100
        assert (await third.answer())[0] == 429
        assert (await gateway.post(GREET)).status == 202


async def test_one_peer_cannot_take_all_requests_in_flight(tmp_path: Path) -> None:
    admission = load_shedder_of(max_requests=4, peer_share=0.5, topics=ONE_SET)
    async with (
        running_gateway(tmp_path, admission=admission) as gateway,
        uploads(gateway) as them,
        asyncio.TaskGroup() as group,
    ):
        async with gateway.producer.hold_for_test():
            theirs = [await them.open() for _ in range(3)]
            for upload in theirs:
                assert await upload.begin(length=len(BODY)) == 100
                upload.writer.write(BODY)
            answers = [group.create_task(upload.answer()) for upload in theirs]
            done, _ = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
            assert [task.result()[0] for task in done] == [429]
            mine = group.create_task(gateway.post(GREET))
            await gateway.producer.waiting_for_test(3)
        # Before their connections are closed.
        assert sorted([(await each)[0] for each in answers]) == [202, 202, 429]
        assert (await mine).status == 202


@pytest.mark.parametrize(
    ("trusted", "second", "statuses"),
    [
        # Two clients, distinguished by a proxy that is trusted.
        ("127.0.0.2/32", "198.51.100.1", [202, 202]),
        # One client, that writes whatever it likes left of what the proxy writes.
        ("127.0.0.2/32", "198.51.100.1, 192.0.2.1", [202, 429]),
        # Nobody is trusted.
        ("10.0.0.0/8", "198.51.100.1", [202, 429]),
    ],
)
async def test_clients_behind_a_trusted_proxy_have_shares_of_their_own(
    tmp_path: Path, trusted: str, second: str, statuses: list[int]
) -> None:
    admission = load_shedder_of(max_requests=2, peer_share=0.5, topics=ONE_SET)
    peers = TrustedProxies(trusted=[ip_network(trusted)])
    async with (
        running_gateway(tmp_path, admission=admission, peers=peers) as gateway,
        uploads(gateway) as them,
    ):
        answers = []
        async with gateway.producer.hold_for_test():
            for waiting, forwarded_for in enumerate(("192.0.2.1", second), start=1):
                upload = await them.open()
                assert await upload.begin(length=len(BODY), forwarded_for=forwarded_for) == 100
                upload.writer.write(BODY)
                answers.append(asyncio.create_task(upload.answer()))
                if statuses[waiting - 1] == 202:
                    await gateway.producer.waiting_for_test(waiting)
                else:
                    await answers[-1]
        assert [(await each)[0] for each in answers] == statuses


async def test_a_client_that_leaves_in_the_middle_gives_all_back(tmp_path: Path) -> None:
    admission = load_shedder_of(max_bytes=1000, max_bodies=1)
    async with running_gateway(tmp_path, admission=admission) as gateway, uploads(gateway) as them:
        upload = await them.open()
        assert await upload.begin(length=900) == 100
        upload.writer.write(b" " * 800)
        upload.writer.close()
        name = "sluice_gateway_requests_total"
        while not gateway.metric(name, method="POST", route="/v1/runs", status="499"):
            await gateway.client.get("/")
        assert admission.bytes_held == 0
        assert (await gateway.post(GREET)).status == 202


@pytest.mark.parametrize("length", [1000, None])
async def test_a_slow_body_is_ended_and_its_connection_with_it(
    tmp_path: Path, length: int | None
) -> None:
    admission = load_shedder_of()
    limits = Limits(body_grace=0.01)
    async with (
        running_gateway(tmp_path, admission=admission, limits=limits) as gateway,
        uploads(gateway) as them,
    ):
        upload = await them.open()
        assert await upload.begin(length=length) == 100
        status, headers = await upload.answer()
        assert (status, headers["connection"]) == (408, "close")
        assert headers["content-type"] == "application/problem+json"
        assert admission.bytes_held == 0
        assert (await gateway.post(GREET)).status == 202


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("rate", "seconds"),
    # 15,000 bytes a second are too slow only in all: 15 s are for the whole body.
    [(1, 5.0003), (8_000, 8.9063), (15_000, 15.0)],
)
async def test_a_body_has_to_come_at_a_rate(rate: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    request = coming(second_by_second=rate)
    with pytest.raises(web.HTTPRequestTimeout) as ended:
        async with admitted_body(request):
            raise AssertionError("there is no body")
    assert ended.value.headers["Connection"] == "close"
    assert loop.time() - began == pytest.approx(seconds, abs=0.001)
    assert request.app[LOAD_SHEDDER].bytes_held == 0


@pytest.mark.looptime
async def test_a_body_that_comes_at_that_rate_is_taken() -> None:
    request = coming(second_by_second=16_384)

    def end() -> None:
        request.content.feed_data(b"{}")
        request.content.feed_eof()

    asyncio.get_running_loop().call_later(14, end)
    async with admitted_body(request) as pieces:
        assert b"".join(pieces).strip() == b"{}"
        assert request.app[LOAD_SHEDDER].bytes_held == 13 * 16_384 + 2


def coming(*, second_by_second: int) -> web.Request:
    """Give a request whose body comes for 13 seconds, so many bytes each, and does not end."""
    app = web.Application()
    app[LOAD_SHEDDER] = load_shedder_of()
    app[LIMITS] = Limits()
    app[TRUSTED_PROXIES] = TrustedProxies(trusted=())
    loop = asyncio.get_running_loop()
    payload = StreamReader(Mock(spec=BaseProtocol), limit=1024, loop=loop)
    for second in range(1, 14):
        loop.call_later(second, payload.feed_data, b" " * second_by_second)
    headers = {"Content-Type": "application/json"}
    return make_mocked_request("POST", "/", headers=headers, payload=payload, app=app)
