"""GET /v1/runs/{id}/events: server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import structlog
from aiohttp import ClientResponse

from sluice_contracts.status import Phase
from sluice_gateway.handlers.app_keys import Limits
from tests.unit.gateway.harness import (
    GREET,
    Gateway,
    published,
    running_gateway,
    set_on,
    status_record,
    step,
)

EVENTS = "/v1/runs/order-1/events"


class Frame(NamedTuple):
    """A server-sent event, or a comment."""

    id: str
    event: str
    data: str


async def frame(response: ClientResponse) -> Frame | str | None:
    """Read the next event; a comment or a lone field as text; None at the end."""
    lines: dict[str, str] = {}
    while line := (await response.content.readline()).decode():
        if line == "\n":
            break
        name, _, value = line.rstrip("\n").partition(": ")
        lines[name] = value
    if not lines:
        return None
    if "data" not in lines:
        [(name, value)] = lines.items()
        return f"{name}: {value}"
    return Frame(lines.get("id", ""), lines["event"], lines["data"])


async def frames(response: ClientResponse) -> list[Frame]:
    """Read events to the end of the stream."""
    found = []
    while (each := await frame(response)) is not None:
        if isinstance(each, Frame):
            found.append(each)
    return found


@asynccontextmanager
async def stream(
    gateway: Gateway, *, after: str | None = None, path: str = EVENTS
) -> AsyncIterator[ClientResponse]:
    """Open a stream."""
    headers = {"Accept": "text/event-stream"}
    if after is not None:
        headers["Last-Event-ID"] = after
    async with gateway.client.get(path, headers=headers) as response:
        yield response


HISTORY = (
    published(3, Phase.SUBMITTED),
    published(5, Phase.RUNNING, steps=(step("split"),)),
    published(9, Phase.SUCCEEDED, steps=(step("split", "Succeeded"),)),
)


async def test_events_of_a_finished_run_come_in_order_and_the_stream_ends(gateway: Gateway) -> None:
    await gateway.publish(*HISTORY)

    async with stream(gateway) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Accel-Buffering"] == "no"
        assert await frame(response) == "retry: 2000"
        received = await frames(response)
    assert [each.id for each in received] == ["1:0", "1:1", "1:2"]
    assert [each.event for each in received] == [
        "sluice.run.submitted",
        "sluice.run.running",
        "sluice.run.succeeded",
    ]
    events = [each.event.model_dump(mode="json") for each in HISTORY]
    assert [json.loads(each.data) for each in received] == events


async def test_later_events_are_sent_as_they_come(gateway: Gateway) -> None:
    await gateway.post({"id": "order-1", **GREET})
    async with stream(gateway) as response:
        assert await frame(response) == "retry: 2000"
        assert (await frame(response))[1] == "sluice.request.queued"  # type: ignore[index]
        for sequence, phase in ((3, Phase.SUBMITTED), (5, Phase.RUNNING), (9, Phase.FAILED)):
            await gateway.publish(published(sequence, phase))
            received = await frame(response)
            assert isinstance(received, Frame)
            assert json.loads(received.data)["phase"] == phase
        assert await frame(response) is None


async def test_repeated_and_late_events_are_not_sent(gateway: Gateway) -> None:
    first, second, last = HISTORY
    await gateway.publish(first, first, second, first)
    async with stream(gateway) as response:
        assert await frame(response) == "retry: 2000"
        for _ in range(2):
            assert isinstance(await frame(response), Frame)
        await gateway.publish(second, first, last)
        received = await frame(response)
        assert isinstance(received, Frame)
        assert received.event == "sluice.run.succeeded"
        assert await frame(response) is None


@pytest.mark.parametrize("seen", [0, 1, 2])
async def test_a_stream_resumes_behind_the_last_event(gateway: Gateway, seen: int) -> None:
    await gateway.publish(*HISTORY)
    async with stream(gateway) as response:
        whole = await frames(response)
    async with stream(gateway, after=whole[seen].id) as response:
        if seen < 2:
            assert await frames(response) == whole[seen + 1 :]
        else:
            # EventSource does not come back after a 204.
            assert (response.status, await response.read()) == (204, b"")


async def test_a_retried_run_goes_on_behind_its_first_end(gateway: Gateway) -> None:
    await gateway.publish(published(3, Phase.FAILED))
    async with stream(gateway) as response:
        [first_end] = await frames(response)
    await gateway.publish(published(5, Phase.RUNNING, attempt=2))
    async with stream(gateway, after=first_end.id) as response:
        assert await frame(response) == "retry: 2000"
        received = await frame(response)
        assert isinstance(received, Frame)
        assert json.loads(received.data)["attempt"] == 2
        await gateway.publish(published(8, Phase.SUCCEEDED, attempt=2))
        assert len(await frames(response)) == 1


async def test_a_whole_history_of_attempts_is_one_stream(gateway: Gateway) -> None:
    await gateway.publish(published(3, Phase.FAILED), published(8, Phase.SUCCEEDED, attempt=2))
    async with stream(gateway) as response:
        assert len(await frames(response)) == 2


async def test_an_event_seen_on_another_replica_is_not_sent_again(
    gateway: Gateway,
) -> None:
    """The client saw 1:2 on another replica; this one is behind."""
    first, second, last = HISTORY
    await gateway.publish(first, second)
    async with stream(gateway, after="1:2") as response:
        assert await frame(response) == "retry: 2000"
        await gateway.publish(last)
        assert await frame(response) is None


async def test_a_run_may_move_to_another_partition(gateway: Gateway) -> None:
    """Which happens once, when partitions are added to the topic."""
    await gateway.publish(HISTORY[0], partition=5)
    await gateway.publish(*HISTORY[1:], partition=2)
    async with stream(gateway) as response:
        received = await frames(response)
    assert [each.id for each in received] == ["5:0", "2:1", "2:2"]
    for seen, each in enumerate(received[:-1]):
        async with stream(gateway, after=each.id) as response:
            assert await frames(response) == received[seen + 1 :]


async def test_long_histories_come_in_pages(gateway: Gateway) -> None:
    events = [published(sequence) for sequence in range(1, 35)]
    await gateway.publish(*events, published(40, Phase.SUCCEEDED))
    async with stream(gateway) as response:
        received = await frames(response)
    assert [json.loads(each.data)["sequence"] for each in received] == [*range(1, 35), 40]


@pytest.mark.parametrize("count", [9, 10, 11, 31, 32, 33])
async def test_a_history_ends_with_a_page_or_behind_it(gateway: Gateway, count: int) -> None:
    events = [published(sequence) for sequence in range(1, count)]
    await gateway.publish(*events, published(count, Phase.SUCCEEDED))
    async with stream(gateway) as response:
        assert len(await frames(response)) == count


async def test_silence_is_filled_with_comments(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, limits=Limits(keepalive=0.001)) as gateway:
        await gateway.publish(HISTORY[0])
        async with stream(gateway) as response:
            assert await frame(response) == "retry: 2000"
            assert isinstance(await frame(response), Frame)
            assert await frame(response) == ": keepalive"
            assert await frame(response) == ": keepalive"
            assert gateway.metric("sluice_gateway_streams") == 1


async def test_each_reader_gets_every_event(gateway: Gateway) -> None:
    await gateway.post({"id": "order-1", **GREET})

    async def reader() -> list[Frame]:
        async with stream(gateway) as response:
            return await frames(response)

    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(reader()) for _ in range(20)]
        for each in HISTORY:
            await gateway.publish(each)
    assert {len(each.result()) for each in readers} == {3}


async def test_runs_do_not_mix(gateway: Gateway) -> None:
    await gateway.publish(HISTORY[0], published(4, Phase.FAILED, run_id="order-2"), *HISTORY[1:])
    async with stream(gateway) as response:
        received = await frames(response)
    assert {json.loads(each.data)["run_id"] for each in received} == {"order-1"}


class TestRefusals:
    async def test_an_unknown_run_is_refused_before_the_stream_opens(
        self, gateway: Gateway
    ) -> None:
        async with stream(gateway) as response:
            assert response.status == 404
            assert response.content_type == "application/problem+json"

    async def test_a_run_just_accepted_by_another_replica_is_followed(
        self, gateway: Gateway
    ) -> None:
        gateway.coming.append(status_record(published(3, Phase.SUCCEEDED), offset=0))
        async with stream(gateway) as response:
            assert [each.event for each in await frames(response)] == ["sluice.run.succeeded"]

    async def test_a_view_that_is_behind_is_unavailable(self, gateway: Gateway) -> None:
        gateway.behind.append("the topics are still being read")
        async with stream(gateway) as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "2")

    @pytest.mark.parametrize("after", ["1", "a:b", "1:2:3", "-1:2", "1:" + "9" * 30, "1:2 "])
    async def test_a_malformed_last_event_id_is_refused(self, gateway: Gateway, after: str) -> None:
        await gateway.publish(*HISTORY)
        async with stream(gateway, after=f"{after}x") as response:
            document = await response.json(content_type="application/problem+json")
            assert (response.status, document["type"]) == (400, "about:blank")
            assert "Last-Event-ID" in document["detail"]

    async def test_an_empty_last_event_id_is_none(self, gateway: Gateway) -> None:
        await gateway.publish(*HISTORY)
        async with stream(gateway, after="") as response:
            assert len(await frames(response)) == 3

    @pytest.mark.parametrize(
        ("accept", "status"),
        [
            ("text/event-stream", 200),
            ("*/*", 200),
            ("text/*;q=0.5, application/json", 200),
            ("application/json", 406),
            ("text/event-stream;q=0", 406),
            ("text/event-stream; q=0.0, */*;q=0", 406),
        ],
    )
    async def test_accept_has_a_say(self, gateway: Gateway, accept: str, status: int) -> None:
        await gateway.publish(*HISTORY)
        async with gateway.client.get(EVENTS, headers={"Accept": accept}) as response:
            assert response.status == status
            if status == 406:
                document = await response.json(content_type="application/problem+json")
                assert document["type"] == "urn:sluice:problem:not-acceptable"


class TestEnds:
    async def test_streams_end_when_the_gateway_stops(self, tmp_path: Path) -> None:
        async with running_gateway(tmp_path) as gateway:
            await gateway.publish(HISTORY[0])
            async with stream(gateway) as response:
                assert await frame(response) == "retry: 2000"
                assert isinstance(await frame(response), Frame)
                closing = asyncio.create_task(gateway.client.server.close())
                assert await frame(response) is None
                await closing

    async def test_a_stream_opened_while_it_stops_ends_at_once(self, gateway: Gateway) -> None:
        await gateway.publish(HISTORY[0])
        gateway.subscriptions.close()
        async with stream(gateway) as response:
            assert (response.status, await frames(response)) == (204, [])

    async def test_a_reader_that_leaves_leaves_nothing_behind(self, tmp_path: Path) -> None:
        async with running_gateway(tmp_path, limits=Limits(keepalive=0.001)) as gateway:
            await gateway.publish(HISTORY[0])
            async with stream(gateway) as response:
                assert await frame(response) == "retry: 2000"
                response.close()
            await gateway.client.session.close()
            await gateway.client.server.close()
            assert gateway.metric("sluice_gateway_streams") == 0
            assert gateway.subscriptions.followed == 0

    async def test_a_reader_that_does_not_read_is_cut_off(self, tmp_path: Path) -> None:
        large = "x" * 1_000_000
        events = [published(sequence, Phase.RUNNING, message=large) for sequence in range(1, 40)]
        async with running_gateway(tmp_path, limits=Limits(write_timeout=0.05)) as gateway:
            await gateway.publish(*events)
            cut = asyncio.Event()
            with structlog.testing.capture_logs(processors=[set_on("stream cut", cut)]):
                # Waits for the end of a line that has none within the limit, so stops reading.
                reader, writer = await asyncio.open_connection(
                    gateway.client.host, gateway.client.port, limit=1000
                )
                writer.write(f"GET {EVENTS} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                await cut.wait()
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1 << 30)
            writer.close()

    async def test_a_stream_that_breaks_is_cut_off_for_the_reader_to_come_back(
        self, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await gateway.publish(HISTORY[0])
        async with stream(gateway) as response:
            assert await frame(response) == "retry: 2000"
            assert isinstance(await frame(response), Frame)
            monkeypatch.setattr(gateway.view, "events", _broken)
            await gateway.publish(HISTORY[1])
            with pytest.raises(Exception, match="payload"):
                await frames(response)


async def _broken(*_: object, **__: object) -> None:
    raise RuntimeError("broken")
