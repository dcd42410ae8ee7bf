"""No answer of the API server can exhaust the memory."""

from datetime import timedelta
from pathlib import Path

import pytest

from sluice_argo.watch_event import ListComplete
from sluice_argo.watch_settings import WatchSettings
from sluice_argo.workflow_list import list_workflows
from sluice_argo.workflows_api import WorkflowPage
from sluice_runtime.backoff import Backoff
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kubernetes import client as client_module
from sluice_runtime.kubernetes.errors import AnswerTooLargeError, ApiUnavailableError
from sluice_status_watcher.services.finalizer_drain import drain_finalizers
from tests.support.fake_workflows import FakeWorkflows
from tests.unit.runtime.kubernetes.api_server import api_server, connected
from tests.unit.status_watcher.manifests import manifest

LIMIT = 256 * 1024
READABLE = 2
ETCD_LIMIT = 1536 * 1024


def soon() -> Deadline:
    return Deadline("a call", timedelta(seconds=30))


def answer_of(size: int) -> bytes:
    return b'{"x": "' + b"x" * (size - 9) + b'"}'


def test_page_of_the_largest_workflows_fits() -> None:
    assert WatchSettings().page_size * ETCD_LIMIT < client_module._MAX_ANSWER


async def test_answer_past_the_limit_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_MAX_ANSWER", LIMIT)
    async with api_server() as server, connected(server, tmp_path / "k") as client:
        server.answers(answer_of(LIMIT))
        assert len((await client.call("GET", "/x", deadline=soon()))["x"]) == LIMIT - 9
        for status in (200, 404):
            server.answers(answer_of(LIMIT + 1), status=status)
            with pytest.raises(ApiUnavailableError, match="GET /x: the response is larger than"):
                await client.call("GET", "/x", deadline=soon())
        # The connection of a broken-off answer is not used again.
        server.answers({"kind": "Pod"})
        assert await client.call("GET", "/x", deadline=soon()) == {"kind": "Pod"}


async def test_answer_of_too_many_values_is_not_parsed(tmp_path: Path) -> None:
    """Ten Workflows of 1.5 MB can hold five million lists, which take 500 MB."""
    most = client_module._MAX_ANSWER_VALUES
    async with api_server() as server, connected(server, tmp_path / "k") as client:
        for beyond in (0, 1):
            # The brackets and colon around them are three.
            server.answers(b'{"x": [' + b"0," * (most - 3 + beyond) + b"0]}")
            if beyond:
                with pytest.raises(AnswerTooLargeError, match="GET /x: the response has more than"):
                    await client.call("GET", "/x", deadline=soon())
            else:
                answer = await client.call("GET", "/x", deadline=soon())
                assert len(answer["x"]) == most - 2


class SmallPages(FakeWorkflows):
    """An API server whose pages are too large from three Workflows on."""

    MAX_CALLS = 12

    async def list_page(self, *, limit: int, continue_token: str | None) -> WorkflowPage:
        page = await super().list_page(limit=limit, continue_token=continue_token)
        assert self.calls_for_test("list_page") <= self.MAX_CALLS, "the same was asked for again"
        if len(page.items) > READABLE:
            raise AnswerTooLargeError("use smaller pages")
        return page


async def test_page_that_is_too_large_is_read_in_parts() -> None:
    workflows = SmallPages()
    for number in range(7):
        await workflows.create(manifest(f"order-{number}"))
    *events, listed = [item async for item in list_workflows(workflows, limit=10)]
    assert isinstance(listed, ListComplete)
    assert len(events) == len(listed.uids) == 7
    assert workflows.calls_for_test("list_page") == 2 + 4


@pytest.mark.looptime
async def test_drain_reads_large_pages_in_parts() -> None:
    workflows = SmallPages()
    for number in range(7):
        await workflows.create(manifest(f"order-{number}"))
    assert await drain_finalizers(workflows, page_size=10, backoff=Backoff()) == 7


async def test_workflow_that_is_too_large_by_itself_is_an_error() -> None:
    workflows = FakeWorkflows()
    workflows.fail_for_test("list_page", *[AnswerTooLargeError("use smaller pages")] * 4)
    with pytest.raises(AnswerTooLargeError):
        _ = [item async for item in list_workflows(workflows, limit=10)]


async def test_long_refusal_of_a_watch_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_MAX_ANSWER", LIMIT)
    async with api_server() as server, connected(server, tmp_path / "k") as client:
        for size, words in ((LIMIT, "not answered by Kubernetes"), (LIMIT + 1, "is larger than")):
            server.answers(answer_of(size), status=404)
            with pytest.raises(ApiUnavailableError, match=words):
                async with client.stream("/x", deadline=soon(), query={}):
                    pass
