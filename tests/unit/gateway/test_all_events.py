"""GET /v1/events: the events of all runs in one stream."""

import asyncio
import json
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice_contracts.ids import RunKey
from sluice_contracts.records import IncomingRecord
from sluice_contracts.status import Phase
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.identity import EVERYTHING, Scope
from sluice_gateway.domain.models import StreamEvent, StreamPage
from sluice_gateway.domain.reach import Area, Reach
from sluice_gateway.domain.run_query import RunFilter, StreamPlace
from sluice_gateway.handlers.app_keys import Limits
from sluice_gateway.ports import LogTruncatedError, ViewUnavailableError
from sluice_gateway.services import shared_pages
from sluice_gateway.services.frame_format import FrameFormat
from sluice_gateway.services.response_budget import ResponseLimits
from sluice_gateway.services.shared_pages import FramePage, SharedPages
from tests.support.projections import apply
from tests.unit.gateway.harness import GREET, NOW, Gateway, published, running_gateway
from tests.unit.gateway.test_events import Frame, frame

ALL = EVERYTHING.reach(Scope.PAYLOADS)


@asynccontextmanager
async def stream(
    gateway: Gateway, query: str = "", *, after: str | None = None
) -> AsyncIterator[ClientResponse]:
    """Open the stream, and read its first line."""
    headers = {"Accept": "text/event-stream"}
    if after is not None:
        headers["Last-Event-ID"] = after
    async with gateway.client.get(f"/v1/events{query}", headers=headers) as response:
        assert response.status == 200, await response.text()
        assert await frame(response) == "retry: 2000"
        yield response


async def comment(response: ClientResponse) -> dict[str, str]:
    """Read the fields of a block without data."""
    fields = {}
    while line := (await response.content.readline()).decode().rstrip("\n"):
        name, _, value = line.partition(": ")
        fields[name] = value
    return fields


async def event(response: ClientResponse) -> Frame:
    """Read the next event, past keepalives."""
    while True:
        fields = await comment(response)
        if "data" in fields:
            return Frame(fields["id"], fields["event"], fields["data"])


async def runs(response: ClientResponse, count: int) -> list[str]:
    """Read so many events, and give their runs."""
    return [json.loads((await event(response)).data)["run_id"] for _ in range(count)]


async def test_it_begins_with_what_is_still_to_come(gateway: Gateway) -> None:
    await gateway.publish(published(3, run_id="old"))
    async with stream(gateway) as response:
        assert (await comment(response))["id"]
        await gateway.publish(published(3, Phase.SUBMITTED, run_id="new"))
        first = await event(response)

    assert first.event == "sluice.run.submitted"
    assert json.loads(first.data)["run_id"] == "new"


async def test_an_id_has_an_offset_of_each_partition(gateway: Gateway) -> None:
    async with stream(gateway) as response:
        await gateway.publish(published(3, run_id="a"), partition=0)
        await gateway.publish(published(3, run_id="b"), partition=2)
        ids = [(await event(response)).id for _ in range(2)]

    assert ids == ["0:1", "0:1,2:2"]


@pytest.mark.parametrize("seen", range(6))
async def test_it_resumes_exactly_behind_any_event(gateway: Gateway, seen: int) -> None:
    async with stream(gateway) as response:
        for number in range(6):
            await gateway.publish(published(3, run_id=f"r{number}"), partition=number % 3)
        ids = [(await event(response)).id for _ in range(6)]
    async with stream(gateway, after=ids[seen]) as response:
        await gateway.publish(published(3, run_id="end"), partition=1)
        resumed = await runs(response, 6 - seen)

    assert sorted(resumed[:-1]) == [f"r{number}" for number in range(seen + 1, 6)]
    assert resumed[-1] == "end"


async def test_a_keepalive_moves_the_place_past_what_was_not_asked_for(tmp_path: Path) -> None:
    async with (
        running_gateway(tmp_path, limits=Limits(keepalive=0.01)) as gateway,
        stream(gateway, "?tenant=acme", after="0:0") as response,
    ):
        await gateway.publish(published(3, run_id="a"), partition=0)
        while (await comment(response))["id"] != "0:1":
            pass
        await gateway.publish(published(3, run_id="b", tenant="acme"), partition=0)

        assert (await event(response)).id == "0:2"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?tenant=acme", ["b"]),
        ("?phase=Succeeded", ["c"]),
        ("?phase=Succeeded&phase=Running", ["a", "b", "c"]),
        ("?workflow=greet", ["a", "b", "c"]),
        ("?q=b", ["b"]),
        ("?label=team=x", ["a"]),
        ("?label=team!=x", ["b", "c"]),
    ],
)
async def test_it_has_the_filters_of_the_list(
    gateway: Gateway, query: str, expected: list[str]
) -> None:
    async with stream(gateway, query) as response:
        await gateway.publish(
            published(3, run_id="a", labels={"team": "x"}, accepted_at=NOW),
            published(3, run_id="b", tenant="acme"),
            published(3, Phase.SUCCEEDED, run_id="c"),
        )
        assert await runs(response, len(expected)) == expected


async def test_lines_have_the_same_ids(gateway: Gateway) -> None:
    headers = {"Accept": "application/x-ndjson"}
    async with gateway.client.get("/v1/events", headers=headers) as response:
        first = json.loads(await response.content.readline())
        assert (first["event"], first["data"]) == ("keepalive", None)
        await gateway.publish(published(3, Phase.SUBMITTED))
        second = json.loads(await response.content.readline())

    assert (second["id"], second["event"]) == ("1:1", "sluice.run.submitted")


@pytest.mark.parametrize(
    "value", ["1", "a:b", "1:1,1:2", "1:1,", "1:99999999999999999999", "9" * 99]
)
async def test_an_id_that_is_none_is_refused(gateway: Gateway, value: str) -> None:
    response = await gateway.client.get("/v1/events", headers={"Last-Event-ID": value})

    assert response.status == 400


async def test_a_filter_that_means_nothing_is_refused(gateway: Gateway) -> None:
    assert (await gateway.client.get("/v1/events?phase=running")).status == 422


async def test_a_place_before_the_begin_of_the_log_is_gone(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def truncated(*_: Any, **__: Any) -> StreamPage:
        raise LogTruncatedError("Events of partition 0 before offset 9 are no longer kept.")

    monkeypatch.setattr(gateway.view, "all_events", truncated)

    response = await gateway.client.get("/v1/events", headers={"Last-Event-ID": "0:1"})

    document = await response.json(content_type="application/problem+json")
    assert (response.status, document["type"]) == (410, "urn:sluice:problem:log-truncated")
    assert "offset 9" in document["detail"]
    assert gateway.outgoing.held == 0


async def test_without_a_view_it_does_not_open(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(**_: object) -> StreamPlace:
        raise ViewUnavailableError("the file is damaged")

    monkeypatch.setattr(gateway.view, "stream_end", fail)

    assert (await gateway.client.get("/v1/events")).status == 503


@pytest.mark.parametrize(
    "error", [LogTruncatedError("gone"), ViewUnavailableError("damaged"), RuntimeError("bug")]
)
async def test_a_stream_that_fails_is_cut(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def fail(*_: Any, **__: Any) -> StreamPage:
        raise error

    async with stream(gateway) as response:
        await comment(response)
        monkeypatch.setattr(gateway.view, "all_events", fail)
        await gateway.publish(published(3))
        with pytest.raises(Exception, match=r"payload|closed|reset"):
            await response.read()
    assert gateway.outgoing.held == 0


async def test_streams_are_limited(tmp_path: Path) -> None:
    async with (
        running_gateway(tmp_path, outgoing=ResponseLimits(max_streams=1)) as gateway,
        stream(gateway),
    ):
        assert (await gateway.client.get("/v1/events")).status == 429


async def test_a_head_opens_nothing(gateway: Gateway) -> None:
    response = await gateway.client.head("/v1/events")

    assert (response.status, response.content_type) == (200, "text/event-stream")
    assert gateway.outgoing.held == 0


async def test_a_stop_of_the_process_ends_it(gateway: Gateway) -> None:
    async with stream(gateway) as response:
        await comment(response)
        gateway.subscriptions.close()

        assert await response.read() == b""


async def test_every_event_comes_once_over_many_cuts_between_replicas(tmp_path: Path) -> None:
    """Two replicas, each with a view of its own that reads the topics at its own pace."""
    async with AsyncExitStack() as stack:
        folders = [tmp_path / name for name in "ab"]
        for folder in folders:
            folder.mkdir()
        replicas = [await stack.enter_async_context(running_gateway(each)) for each in folders]
        first, second = replicas
        log: list[IncomingRecord] = []
        seen: list[str] = []
        after = "0:0,1:0,2:0"
        for number in range(30):
            log += await first.publish(
                *(published(3, run_id=f"r{number}-{each}") for each in range(3)),
                partition=number % 3,
            )
            reading = replicas[number % 2]
            if reading is second:
                await apply(second.store, log)
            expected = 1 + number % 2
            async with stream(reading, after=after) as response:
                for _ in range(expected):
                    found = await event(response)
                    seen.append(json.loads(found.data)["run_id"])
                    after = found.id
        await apply(second.store, log)
        async with stream(second, after=after) as response:
            seen += await runs(response, 90 - len(seen))

    assert len(seen) == len(set(seen)) == 90


class Log:
    """A view with a stream of events of `size` bytes each."""

    def __init__(self, *, size: int = 10) -> None:
        self.size = size
        self.reads = 0

    async def all_events(
        self, query: RunFilter, *, after: StreamPlace, limit: int, max_bytes: int
    ) -> StreamPage:
        self.reads += 1
        await asyncio.sleep(0)
        offset = after.next_offsets.get(0, 0)
        place = after.after(0, offset)
        one = StreamEvent(
            key=RunKey("default", "a"),
            partition=0,
            offset=offset,
            type="sluice.run.running",
            data=json.dumps("x" * self.size),
            place=place,
        )
        return StreamPage(events=(one,), place=place)


def at(offset: int) -> StreamPlace:
    return StreamPlace(next_offsets={0: offset})


def page_at(pages: SharedPages, offset: int) -> AbstractAsyncContextManager[FramePage]:
    return pages.page(RunFilter(), after=at(offset), form=FrameFormat.SSE, payloads=ALL)


class TestSharedPages:
    def pages(self, log: Log, *, max_bytes: int = 10_000) -> SharedPages:
        return SharedPages(view=log, max_bytes=max_bytes)  # type: ignore[arg-type]

    async def test_a_page_is_read_once_for_all_at_one_place(self) -> None:
        log = Log()
        pages = self.pages(log)

        async def read() -> bytes:
            async with pages.page(
                RunFilter(), after=at(0), form=FrameFormat.SSE, payloads=ALL
            ) as page:
                await asyncio.sleep(0)
                return page.frames

        assert len(set(await asyncio.gather(*(read() for _ in range(100))))) == 1
        assert log.reads == 1

    async def test_other_filters_and_formats_have_pages_of_their_own(self) -> None:
        log = Log()
        pages = self.pages(log)
        some = Reach.of([Area(tenants=frozenset({"default"}), workflows=frozenset({"*"}))])
        for query in (RunFilter(), RunFilter(tenant="acme"), RunFilter(within=some)):
            for form in FrameFormat:
                for payloads in (ALL, some):
                    async with pages.page(query, after=at(0), form=form, payloads=payloads):
                        pass
        assert log.reads == 12

    async def test_pages_that_nobody_reads_go_first(self) -> None:
        pages = self.pages(Log(size=1000), max_bytes=3000)
        async with page_at(pages, 0) as held:
            for offset in range(1, 20):
                async with pages.page(
                    RunFilter(), after=at(offset), form=FrameFormat.SSE, payloads=ALL
                ):
                    assert pages.held <= 3000
            async with pages.page(
                RunFilter(), after=at(0), form=FrameFormat.SSE, payloads=ALL
            ) as again:
                assert again is held

    async def test_readers_that_are_too_far_apart_have_to_leave(self) -> None:
        pages = self.pages(Log(size=1000), max_bytes=3000)
        async with AsyncExitStack() as stack:
            for offset in range(2):
                await stack.enter_async_context(page_at(pages, offset))
            with pytest.raises(ProblemError) as refused:
                await stack.enter_async_context(page_at(pages, 2))
            assert refused.value.problem.status == 429
            assert pages.held <= 3000
        async with page_at(pages, 2):
            pass

    async def test_no_page_looks_at_the_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """At the tail there are tens of thousands of pages, each with one small event."""
        looked_at: list[Any] = []

        class Watched(OrderedDict[Any, Any]):
            def __iter__(self) -> Any:
                for key in super().__iter__():
                    looked_at.append(key)
                    yield key

            def items(self) -> Any:
                return [(key, self[key]) for key in self]

            def values(self) -> Any:
                return [self[key] for key in self]

        monkeypatch.setattr(shared_pages, "OrderedDict", Watched)
        pages = self.pages(Log(), max_bytes=10_000)
        most = 0
        for offset in range(500):
            async with pages.page(
                RunFilter(), after=at(offset), form=FrameFormat.SSE, payloads=ALL
            ):
                most = max(most, pages.held)
        assert 9_000 < most <= 10_000
        assert looked_at == []

    async def test_what_was_read_last_goes_last(self) -> None:
        log = Log(size=1000)
        pages = self.pages(log, max_bytes=3000)
        for offset in (0, 1, 0, 2, 0):
            async with pages.page(
                RunFilter(), after=at(offset), form=FrameFormat.SSE, payloads=ALL
            ):
                pass
        assert log.reads == 3

    @given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=40))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    def test_what_is_held_is_counted(self, steps: list[tuple[int, bool]]) -> None:
        async def run() -> None:
            pages = self.pages(Log(size=1000), max_bytes=4000)
            stacks: list[AsyncExitStack] = []
            for offset, leave in steps:
                if leave and stacks:
                    await stacks.pop(0).aclose()
                    continue
                stack = AsyncExitStack()
                try:
                    await stack.enter_async_context(
                        pages.page(
                            RunFilter(), after=at(offset), form=FrameFormat.SSE, payloads=ALL
                        )
                    )
                except ProblemError:
                    assert len({id(each) for each in stacks}) >= 3
                else:
                    stacks.append(stack)
                assert 0 <= pages.held <= 4000
            for stack in stacks:
                await stack.aclose()
            assert 0 <= pages.held <= 4000

        asyncio.run(run())


async def test_requests_alone_make_no_events(gateway: Gateway) -> None:
    async with stream(gateway) as response:
        await comment(response)
        await gateway.post({"id": "order-1", **GREET})
        await gateway.project_requests()
        await gateway.publish(published(3, run_id="order-2"))

        assert await runs(response, 1) == ["order-2"]


async def test_a_stream_over_several_topics_names_the_door_in_its_places(gateway: Gateway) -> None:
    async with stream(gateway, "?tenant=globex") as response:
        await gateway.publish(published(1, tenant="globex"))
        first = await event(response)
    assert first.id == "globex/1:1"
    async with stream(gateway, "?tenant=globex", after=first.id) as response:
        await gateway.publish(published(1), published(2, tenant="globex"))
        following = await event(response)
    assert following.id == "1:2,globex/1:3"
