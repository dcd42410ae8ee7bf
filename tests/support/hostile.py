"""Attackers: clients that use as much of a service as they can.

Each binds its own addresses on loopback, so that it is a different peer than the honest client.
"""

import asyncio
import collections
import contextlib
import io
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

import aiohttp
from aiokafka import AIOKafkaProducer

from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.status import Phase, StatusEvent
from sluice_contracts.status_codec import PublishedEvent, encode_status
from sluice_contracts.steps import Step
from tests.support.kafka import KafkaServer

Answers = collections.Counter[str]
"""Responses to attackers: statuses, or types of errors."""

_POST = (
    b"POST /v1/runs HTTP/1.1\r\nHost: sluice\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n"
)
_BETWEEN_BYTES = 0.2
_HEAD_SECONDS = 10.0
_MOST_SECONDS = 5.0
_MAX_BYTES = 4 * 1024 * 1024


def peers(count: int) -> Iterator[str]:
    """Return `count` addresses on loopback, without 127.0.0.1."""
    return (f"127.0.{1 + number // 250}.{1 + number % 250}" for number in range(count))


@contextlib.asynccontextmanager
async def idle_bodies(
    url: str, declared: Sequence[int], *, peers: Sequence[str]
) -> AsyncIterator[None]:
    """Declare bodies, send one byte of each, and then nothing while the context's body runs."""
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        for number, size in enumerate(declared):
            client = await _connected(stack, url, peer=peers[number % len(peers)])
            await loop.sock_sendall(client, _POST % size + b"{")
        yield


@contextlib.asynccontextmanager
async def slow_bodies(
    url: str, declared: Sequence[int], *, peers: Sequence[str]
) -> AsyncIterator[None]:
    """Declare bodies, send nine tenths of each at once, and then single bytes slowly."""
    with contextlib.ExitStack() as stack:
        clients = [
            await _connected(stack, url, peer=peers[number % len(peers)])
            for number in range(len(declared))
        ]
        most_sent = [asyncio.Event() for _ in declared]
        drips = [
            asyncio.create_task(_drip(client, size, most_sent=event))
            for client, size, event in zip(clients, declared, most_sent, strict=True)
        ]
        try:
            await asyncio.gather(*(event.wait() for event in most_sent))
            yield
        finally:
            for each in drips:
                each.cancel()
            await asyncio.gather(*drips, return_exceptions=True)


async def _drip(client: socket.socket, size: int, *, most_sent: asyncio.Event) -> None:
    loop, never = asyncio.get_running_loop(), asyncio.Event()
    # After an early response the server may stop reading.
    with contextlib.suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(_MOST_SECONDS):
            await loop.sock_sendall(client, _POST % size + b"{" + b" " * (size * 9 // 10))
    most_sent.set()
    with contextlib.suppress(ConnectionError):
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_BETWEEN_BYTES):
                    await never.wait()
            await loop.sock_sendall(client, b" ")


async def _connected(stack: contextlib.ExitStack, url: str, *, peer: str) -> socket.socket:
    to = urlsplit(url)
    client = stack.enter_context(socket.socket())
    # The smallest buffer that the kernel allows: a service does not have to hold what is in it.
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.bind((peer, 0))
    client.settimeout(0)
    await asyncio.get_running_loop().sock_connect(client, (to.hostname, to.port))
    return client


async def large_bodies(
    url: str, bodies: Sequence[bytes], *, rounds: int, peers: Sequence[str]
) -> Answers:
    """POST all bodies concurrently, each `rounds` times; return the responses."""
    answers: Answers = collections.Counter()

    async def post(http: aiohttp.ClientSession, body: bytes) -> None:
        for _ in range(rounds):
            try:
                headers = {"Content-Type": "application/json"}
                async with http.post("/v1/runs", data=io.BytesIO(body), headers=headers) as answer:
                    await answer.read()
                    answers[str(answer.status)] += 1
            except aiohttp.ClientError as e:
                answers[type(e).__name__] += 1

    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        sessions = [
            await stack.enter_async_context(
                aiohttp.ClientSession(
                    url, connector=aiohttp.TCPConnector(limit=0, local_addr=(peer, 0))
                )
            )
            for peer in peers
        ]
        for number, body in enumerate(bodies):
            group.create_task(post(sessions[number % len(sessions)], body))
    return answers


@contextlib.asynccontextmanager
async def unread(url: str, paths: Sequence[str], *, peers: Sequence[str]) -> AsyncIterator[Answers]:
    """GET each path from a peer, and read only the first bytes of the response.

    Yields the responses once all have arrived or timed out.
    """
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        readers = []
        for path, peer in zip(paths, peers, strict=True):
            reader = await _connected(stack, url, peer=peer)
            await loop.sock_sendall(reader, f"GET {path} HTTP/1.1\r\nHost: sluice\r\n\r\n".encode())
            readers.append(reader)
        yield collections.Counter(await asyncio.gather(*map(_status, readers)))


async def _status(reader: socket.socket) -> str:
    try:
        async with asyncio.timeout(_HEAD_SECONDS):
            head = await asyncio.get_running_loop().sock_recv(reader, len(b"HTTP/1.1 200"))
    except (TimeoutError, ConnectionError) as e:
        return type(e).__name__
    return head[-3:].decode()


async def write_records(kafka: KafkaServer, topic: str, values: Sequence[bytes]) -> None:
    """Write all records concurrently, over all partitions."""
    async with _producer(kafka) as producer:
        partitions = sorted(await producer.partitions_for(topic))
        async with asyncio.TaskGroup() as group:
            for number, value in enumerate(values):
                partition = partitions[number % len(partitions)]
                group.create_task(producer.send_and_wait(topic, value, partition=partition))


async def write_events(kafka: KafkaServer, topic: str, run_id: str, *, events: int) -> None:
    """Write events of a running run that are nearly of the maximum size."""
    key = RunKey("default", run_id)
    async with _producer(kafka) as producer:
        for sequence in range(1, events + 1):
            event = StatusEvent(
                event_id=f"{run_id}-{sequence}",
                run_id=run_id,
                tenant=key.tenant,
                workflow="hello",
                workflow_name=workflow_name(key),
                phase=Phase.RUNNING,
                terminal=False,
                steps=(Step(id="n", name="n", phase="Running", outputs={"o": "x" * 1_500_000}),),
                observed_at=datetime.now(UTC),
                sequence=sequence,
            )
            published = PublishedEvent(event=event, fingerprint=None, traceparent=None)
            record = encode_status(published, source="/hostile")
            await producer.send_and_wait(
                topic, record.value, key=record.key, headers=list(record.headers)
            )


@contextlib.asynccontextmanager
async def _producer(kafka: KafkaServer) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers, acks="all", max_request_size=_MAX_BYTES
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()
