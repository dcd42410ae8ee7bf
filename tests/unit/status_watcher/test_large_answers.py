"""No answer of the API server can exhaust the memory."""

from datetime import timedelta
from pathlib import Path

import pytest

from sluice_runtime.deadlines import Deadline
from sluice_runtime.kubernetes import client as client_module
from sluice_runtime.kubernetes.errors import ApiUnavailableError
from sluice_status_watcher.settings import WatchSettings
from tests.unit.runtime.kubernetes.api_server import api_server, connected

LIMIT = 256 * 1024
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
