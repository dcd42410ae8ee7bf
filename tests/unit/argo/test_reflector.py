"""The watch goes on whatever the API server does, with pauses after failures."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest

from sluice_argo.metadata import RUN_ID
from sluice_argo.reflector import Reflector
from sluice_argo.watch_event import ListComplete, WatchEvent
from sluice_argo.watch_health import WatchHealth
from sluice_argo.watch_settings import WatchSettings
from sluice_argo.workflows_api import WorkflowPage
from sluice_runtime.kubernetes.errors import ApiUnavailableError, GoneError, RefusedError
from tests.support.fake_workflows import FakeWorkflows
from tests.unit.status_watcher.manifests import line, manifest, name_of, stored
from tests.unit.status_watcher.world import later, moments

pytestmark = pytest.mark.looptime


class Follower:
    """Runs a reflector, and records what it yields."""

    def __init__(
        self, workflows: FakeWorkflows, *, watch_seconds: float = 480, **settings: Any
    ) -> None:
        self.workflows = workflows
        self.seen: list[WatchEvent | ListComplete] = []
        self.relists: list[str] = []
        self.health = WatchHealth(clock=lambda: asyncio.get_running_loop().time())
        self.settings = WatchSettings(**settings)
        self._changed = asyncio.Condition()
        self._watching = Reflector(
            workflows,
            self.settings,
            health=self.health,
            on_relist=self.relists.append,
            uniform=lambda _, most: min(most, watch_seconds),
        )

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator["Follower"]:
        task = asyncio.create_task(self._follow())
        try:
            await self.until(lambda: self.lists == 1 and self.workflows.streams_for_test() == 1)
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _follow(self) -> None:
        async with aclosing(self._watching.run()) as changes:
            async for change in changes:
                async with self._changed:
                    self.seen.append(change)
                    self._changed.notify_all()

    @property
    def lists(self) -> int:
        return sum(isinstance(change, ListComplete) for change in self.seen)

    @property
    def versions(self) -> list[str]:
        """The changes in order: run, its progress, and whether it is gone."""
        return [
            f"{change.workflow['metadata']['annotations'][RUN_ID]}:"
            f"{change.workflow.get('status', {}).get('progress', '')}{'-' * change.gone}"
            for change in self.seen
            if isinstance(change, WatchEvent)
        ]

    async def until(self, condition: Any) -> None:
        """Wait for a condition on the events or on the API server."""
        seen = asyncio.create_task(self._seen(condition))
        done = asyncio.create_task(self.workflows.wait_for_test(condition))
        await asyncio.wait({seen, done}, return_when=asyncio.FIRST_COMPLETED)
        for task in (seen, done):
            task.cancel()
        await asyncio.gather(seen, done, return_exceptions=True)

    async def _seen(self, condition: Any) -> None:
        async with self._changed:
            await self._changed.wait_for(condition)

    async def sees(self, what: str) -> None:
        await self.until(lambda: what in self.versions)


@pytest.fixture
async def workflows() -> FakeWorkflows:
    fake = FakeWorkflows()
    await fake.create(manifest("a"))
    return fake


async def test_list_comes_first_then_its_end_then_changes(workflows: FakeWorkflows) -> None:
    async with Follower(workflows).following() as follower:
        await workflows.create(manifest("b"))
        await workflows.set_status_for_test(name_of("a"), progress="1/2")
        await workflows.remove_for_test(name_of("b"))
        await follower.sees("b:-")
        assert follower.versions == ["a:", "b:", "a:1/2", "b:-"]
        assert isinstance(follower.seen[1], ListComplete)
        assert follower.seen[1].uids == {"uid-1"}
        assert follower.health.listed


async def test_lists_come_page_by_page(workflows: FakeWorkflows) -> None:
    for name in "bcdefg":
        await workflows.create(manifest(name))
    async with Follower(workflows, page_size=3).following() as follower:
        assert follower.versions == [f"{name}:" for name in sorted("abcdefg", key=name_of)]
        assert workflows.calls_for_test("list_page") == 3


async def test_workflows_without_our_label_are_not_yielded(workflows: FakeWorkflows) -> None:
    foreign = manifest("foreign")
    foreign["metadata"]["labels"].clear()
    await workflows.create(foreign)
    async with Follower(workflows).following() as follower:
        await workflows.set_status_for_test(name_of("foreign"), progress="1/2")
        await workflows.set_status_for_test(name_of("a"), progress="1/2")
        await follower.sees("a:1/2")
        assert follower.versions == ["a:", "a:1/2"]


async def test_watch_continues_after_its_timeout(workflows: FakeWorkflows, looptime: Any) -> None:
    async with Follower(workflows).following() as follower:
        await later(480 + 1)
        assert workflows.calls_for_test("watch") == 2
        await workflows.set_status_for_test(name_of("a"), progress="1/2")
        await follower.sees("a:1/2")
        assert follower.lists == 1
        assert looptime < 485


async def test_change_between_two_watches_is_yielded(workflows: FakeWorkflows) -> None:
    async with Follower(workflows).following() as follower:
        gate = workflows.hold_for_test("watch")
        workflows.close_streams_for_test()
        await follower.until(lambda: workflows.calls_for_test("watch") == 2)
        await workflows.set_status_for_test(name_of("a"), progress="1/2")
        gate.set()
        await follower.sees("a:1/2")
        assert follower.lists == 1


async def test_list_is_repeated_periodically(workflows: FakeWorkflows) -> None:
    async with Follower(workflows, relist_every=timedelta(minutes=15)).following() as follower:
        await later(15 * 60 + 5)
        assert (follower.lists, follower.relists) == (2, ["periodic"])
        await later(15 * 60 + 5)
        assert (follower.lists, follower.relists) == (3, ["periodic", "periodic"])


async def test_bookmarks_keep_an_idle_watch_alive(workflows: FakeWorkflows) -> None:
    async with Follower(workflows).following() as follower:
        await later(400)
        assert workflows.calls_for_test("watch") == 1
        assert follower.health.idle_seconds() <= 60


async def test_bookmarks_carry_the_version_forward(workflows: FakeWorkflows) -> None:
    async with Follower(workflows, watch_seconds=70).following() as follower:
        # Changes of others raise the version; the history before the bookmark may be dropped.
        foreign = manifest("foreign")
        foreign["metadata"]["labels"].clear()
        await workflows.create(foreign)
        await later(65)
        workflows._oldest = workflows._version
        await later(100)
        assert workflows.calls_for_test("watch") > 1
        assert follower.relists == []


async def test_silent_watch_is_given_up_before_90_seconds(workflows: FakeWorkflows) -> None:
    async with Follower(workflows).following() as follower:
        workflows.go_silent_for_test()
        await workflows.set_status_for_test(name_of("a"), progress="2/2")
        await later(74)
        assert follower.lists == 1
        await later(15)
        assert follower.relists == ["silence"]
        assert follower.versions[-1] == "a:2/2"


async def test_watch_that_outlives_its_timeout_is_given_up() -> None:
    class Endless(FakeWorkflows):
        def watch(self, *, resource_version: str, timeout_seconds: int) -> Any:
            return super().watch(resource_version=resource_version, timeout_seconds=10**6)

    endless = Endless()
    async with Follower(endless).following() as follower:
        await later(480 + 31)
        assert follower.relists == ["silence"]


async def test_410_instead_of_a_watch_leads_to_a_list(workflows: FakeWorkflows) -> None:
    async with Follower(workflows).following() as follower:
        workflows.fail_for_test("watch", GoneError("watch: 410", status=410, reason="Expired"))
        workflows.close_streams_for_test()
        await follower.until(lambda: follower.lists == 2)
        assert follower.relists == ["gone"]


async def test_410_within_a_watch_leads_to_a_list(
    workflows: FakeWorkflows,
) -> None:
    async with Follower(workflows).following() as follower:
        gate = workflows.hold_for_test("watch")
        workflows.close_streams_for_test()
        await workflows.set_status_for_test(name_of("a"), progress="1/2")
        await workflows.create(manifest("b"))
        workflows.expire_history_for_test()
        gate.set()
        await follower.until(lambda: follower.lists == 2)
        assert follower.relists == ["gone"]
        assert sorted(follower.versions[-2:]) == ["a:1/2", "b:"]


async def test_410_between_two_pages_restarts_the_list() -> None:
    class Compacting(FakeWorkflows):
        async def list_page(self, *, limit: int, continue_token: str | None) -> WorkflowPage:
            if continue_token and self.calls_for_test("list_page") == 1:
                self.expire_history_for_test()
            return await super().list_page(limit=limit, continue_token=continue_token)

    compacting = Compacting()
    for name in "ab":
        await compacting.create(manifest(name))
    async with Follower(compacting, page_size=1).following() as follower:
        assert follower.relists == ["gone"]
        first, second = sorted("ab", key=name_of)
        assert follower.versions == [f"{first}:", f"{first}:", f"{second}:"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"type": "MODIFIED", "object": {"metad\n', "bad json"),
        (b"[]\n", "bad json"),
        (b'{"type": "MODIFIED"}\n', "bad json"),
        (b'{"type": "MODIFIED", "object": {"metadata": {}}}\n', "bad json"),
        (b'{"type": "ERROR", "object": null}\n', "bad json"),
        (line("ERROR", {"code": 500, "reason": "InternalError"}), "error event"),
        (line("ERROR", {"code": 410, "reason": "Expired"}), "gone"),
        (line("RENAMED", stored()), "unknown event"),
        (b"x" * (8 * 1024 * 1024 + 1), "line too long"),
    ],
)
async def test_invalid_event_leads_to_a_list(
    workflows: FakeWorkflows, data: bytes, reason: str
) -> None:
    async with Follower(workflows).following() as follower:
        workflows.send_raw_for_test(data)
        await follower.until(lambda: follower.lists == 2)
        assert follower.relists == [reason]


async def test_truncated_line_leads_to_a_list(
    workflows: FakeWorkflows,
) -> None:
    async with Follower(workflows).following() as follower:
        workflows.send_raw_for_test(b'{"type": "MODIFIED", "obj')
        await moments()
        workflows.close_streams_for_test()
        await follower.until(lambda: follower.lists == 2)
        assert follower.relists == ["bad json"]


async def test_object_of_3_mib_is_yielded(workflows: FakeWorkflows) -> None:
    async with Follower(workflows).following() as follower:
        await workflows.set_status_for_test(name_of("a"), progress="big", message="x" * 3 * 2**20)
        await follower.sees("a:big")
        assert follower.relists == []


async def test_broken_connection_leads_to_a_list(workflows: FakeWorkflows) -> None:
    async with Follower(workflows).following() as follower:
        workflows.drop_streams_for_test()
        await follower.until(lambda: follower.lists == 2)
        assert follower.relists == ["unavailable"]


async def test_unavailable_api_server_is_retried_with_growing_pauses(
    workflows: FakeWorkflows, looptime: Any
) -> None:
    async with Follower(workflows).following() as follower:
        down = [ApiUnavailableError("list: refused") for _ in range(9)]
        workflows.fail_for_test("list_page", *down)
        workflows.drop_streams_for_test()
        await follower.until(lambda: follower.lists == 2)
        # 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, then 30 at a time.
        assert looptime == 0.8 * 63 + 4 * 30
        assert follower.relists == ["unavailable"] * 10


async def test_retry_after_lengthens_the_pause(workflows: FakeWorkflows, looptime: Any) -> None:
    async with Follower(workflows).following() as follower:
        workflows.fail_for_test("list_page", ApiUnavailableError("429", retry_after=100))
        workflows.drop_streams_for_test()
        await follower.until(lambda: follower.lists == 2)
        assert looptime == 0.8 + 100


async def test_refused_list_is_retried(workflows: FakeWorkflows) -> None:
    async with Follower(workflows).following() as follower:
        workflows.fail_for_test("list_page", RefusedError("400", status=400, reason="BadRequest"))
        workflows.drop_streams_for_test()
        await follower.until(lambda: follower.lists == 2)
        assert follower.relists == ["unavailable", "refused"]


async def test_two_healthy_minutes_reset_the_backoff(
    workflows: FakeWorkflows, looptime: Any
) -> None:
    async with Follower(workflows).following() as follower:
        for _ in range(3):
            lists = follower.lists
            workflows.drop_streams_for_test()
            await follower.until(lambda lists=lists: follower.lists > lists)
            await follower.until(lambda: workflows.streams_for_test() == 1)
        assert looptime == 0.8 + 1.6 + 3.2
        await later(121)
        workflows.drop_streams_for_test()
        await follower.until(lambda: follower.lists == 5)
        assert looptime == 5.6 + 121 + 0.8


async def test_watch_that_is_closed_at_once_is_retried_with_pauses(
    workflows: FakeWorkflows, looptime: Any
) -> None:
    async with Follower(workflows).following() as follower:
        for _ in range(100):
            watches = workflows.calls_for_test("watch")
            workflows.close_streams_for_test()
            await follower.until(
                lambda watches=watches: (
                    workflows.calls_for_test("watch") > watches
                    and workflows.streams_for_test() == 1
                )
            )
        assert follower.relists == ["closed"] * 50
        assert looptime > 50 * 20


def test_idle_time_is_infinite_before_the_first_byte() -> None:
    assert WatchHealth(clock=lambda: 5.0).idle_seconds() == float("inf")
