"""GET /v1/runs and GET /v1/runs:counts."""

import asyncio
from typing import Any

import pytest

from sluice_contracts.ids import RunKey
from sluice_contracts.problems import ProblemType
from sluice_contracts.status import Phase
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.run_query import RunFilter
from sluice_gateway.ports import ViewUnavailableError
from sluice_gateway.services.run_reader import RunReader
from tests.unit.gateway.harness import GREET, Gateway, published


async def page(gateway: Gateway, query: str = "") -> dict[str, Any]:
    """GET a part of the list."""
    response = await gateway.client.get(f"/v1/runs{query}")
    assert response.status == 200, await response.text()
    document: dict[str, Any] = await response.json()
    return document


async def ids(gateway: Gateway, query: str = "") -> list[str]:
    """Give the ids in a part of the list."""
    return [run["id"] for run in (await page(gateway, query))["runs"]]


async def counts(gateway: Gateway, query: str = "") -> dict[str, Any]:
    response = await gateway.client.get(f"/v1/runs:counts{query}")
    assert response.status == 200, await response.text()
    document: dict[str, Any] = await response.json()
    return document


async def start(gateway: Gateway, run_id: str, **members: object) -> None:
    """Start a run, and let the view read its record."""
    response = await gateway.post({"id": run_id, **GREET, **members})
    assert response.status == 202
    await gateway.project_requests()


@pytest.fixture
async def runs(gateway: Gateway) -> None:
    """Start four runs, a first; c is finished, d is of another tenant."""
    await start(gateway, "a", labels={"team": "x"})
    await start(gateway, "b", labels={"team": "y"}, priority="high", parent="a")
    await start(gateway, "c")
    await start(gateway, "d", tenant="acme", labels={"team": "x", "env": "dev"})
    await gateway.publish(published(5, Phase.SUCCEEDED, run_id="c", progress="3/3"))


async def test_without_runs_the_list_is_empty(gateway: Gateway) -> None:
    assert await page(gateway) == {"runs": [], "next_cursor": None, "links": {"next": None}}
    assert await counts(gateway) == {"counts": {}, "total": 0}


@pytest.mark.usefixtures("runs")
class TestList:
    async def test_the_newest_run_comes_first(self, gateway: Gateway) -> None:
        assert await ids(gateway) == ["d", "c", "b", "a"]

    async def test_a_run_is_shown_in_short(self, gateway: Gateway) -> None:
        runs = {run["id"]: run for run in (await page(gateway))["runs"]}

        b = runs["b"]
        assert (b["phase"], b["priority"], b["parent"], b["labels"]) == (
            "Accepted",
            "high",
            "a",
            {"team": "y"},
        )
        assert b["accepted_at"].endswith("Z")
        assert b["links"]["self"] == "/v1/runs/b"
        c = runs["c"]
        assert (c["phase"], c["terminal"], c["progress"]) == ("Succeeded", True, "3/3")
        assert runs["d"]["links"]["self"] == "/v1/runs/d?tenant=acme"

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("?tenant=acme", ["d"]),
            ("?tenant=default", ["c", "b", "a"]),
            ("?workflow=greet", ["d", "c", "b", "a"]),
            ("?workflow=other", []),
            ("?phase=Succeeded", ["c"]),
            ("?phase=Succeeded&phase=Accepted", ["d", "c", "b", "a"]),
            ("?phase=Running", []),
            ("?label=team=x", ["d", "a"]),
            ("?label=team=x&label=env=dev", ["d"]),
            ("?label=team!=x", ["c", "b"]),
            ("?q=a", ["a"]),
            ("?since=2020-01-01T00:00:00Z", ["d", "c", "b", "a"]),
            ("?until=2020-01-01T00:00:00Z", []),
            ("?since=9999-12-31T23:59:59.999999Z", []),
            ("?until=9999-12-31T23:59:59.999999Z", ["d", "c", "b", "a"]),
            ("?since=0001-01-01T00:00:00%2B14:00", ["d", "c", "b", "a"]),
            ("?until=0001-01-01T00:00:00Z", []),
            ("?limit=2", ["d", "c"]),
        ],
    )
    async def test_filters(self, gateway: Gateway, query: str, expected: list[str]) -> None:
        assert await ids(gateway, query) == expected
        if "limit" not in query:
            assert (await counts(gateway, query))["total"] == len(expected)

    async def test_counts_are_by_phase(self, gateway: Gateway) -> None:
        assert await counts(gateway) == {"counts": {"Accepted": 3, "Succeeded": 1}, "total": 4}

    async def test_cursors_show_each_run_once_while_others_arrive(self, gateway: Gateway) -> None:
        first = await page(gateway, "?limit=1&label=team!=z&label=env!=z")
        seen = [run["id"] for run in first["runs"]]
        await start(gateway, "e")
        following = first["links"]["next"]
        while following:
            part = await (await gateway.client.get(following)).json()
            seen += [run["id"] for run in part["runs"]]
            following = part["links"]["next"]

        assert seen == ["d", "c", "b", "a"]

    async def test_the_cursor_alone_continues_too(self, gateway: Gateway) -> None:
        cursor = (await page(gateway, "?limit=3"))["next_cursor"]

        assert await ids(gateway, f"?cursor={cursor}") == ["a"]

    @pytest.mark.parametrize("path", ["/v1/runs", "/v1/runs:counts"])
    async def test_what_has_not_changed_is_not_sent_again(
        self, gateway: Gateway, path: str
    ) -> None:
        etag = (await gateway.client.get(path)).headers["ETag"]
        headers = {"If-None-Match": f'"x", W/{etag}'}

        assert (await gateway.client.get(path, headers=headers)).status == 304
        await start(gateway, "e")
        assert (await gateway.client.get(path, headers=headers)).status == 200


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/runs:counts"])
@pytest.mark.parametrize(
    "query",
    [
        {"phase": "running"},
        {"label": "team"},
        {"label": "=x"},
        {"tenant": "A"},
        {"since": "yesterday"},
        {"since": "1700000000"},
        {"until": "2026-01-01T00:00:00"},
        {"q": "%"},
        {"q": ""},
        {"workflow": ""},
    ],
)
async def test_a_filter_that_means_nothing_is_refused(
    gateway: Gateway, path: str, query: dict[str, str]
) -> None:
    response = await gateway.client.get(path, params=query)

    document = await response.json(content_type="application/problem+json")
    assert (response.status, document["type"]) == (422, "urn:sluice:problem:invalid-request")
    assert next(iter(query)) in document["detail"]


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "501"}, {"limit": "x"}, {"cursor": "x"}, {"cursor": ""}]
)
async def test_a_part_that_does_not_exist_is_refused(
    gateway: Gateway, query: dict[str, str]
) -> None:
    assert (await gateway.client.get("/v1/runs", params=query)).status == 422


async def test_many_labels_are_too_many(gateway: Gateway) -> None:
    query = [("label", f"a{number}=x") for number in range(17)]

    assert (await gateway.client.get("/v1/runs", params=query)).status == 422


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/runs:counts"])
async def test_without_a_view_nothing_is_listed(
    gateway: Gateway, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: RunFilter, **__: object) -> None:
        raise ViewUnavailableError("the file is damaged")

    monkeypatch.setattr(gateway.view, "list", fail)
    monkeypatch.setattr(gateway.view, "count", fail)

    response = await gateway.client.get(path)

    assert response.status == 503
    assert response.headers["Retry-After"]


async def test_the_longest_list_is_sent_within_the_budget(gateway: Gateway) -> None:
    labels = {f"label-{number}": "x" * 256 for number in range(16)}
    for number in range(20):
        await start(gateway, f"r{number}", labels=labels)

    assert len(await ids(gateway, "?limit=500")) == 20
    assert gateway.outgoing.held == 0
    assert RunKey("default", "r0") in {each.key for each in gateway.requests()}


async def test_lists_are_read_one_at_a_time_and_few_wait(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, go_on = asyncio.Semaphore(0), asyncio.Event()
    at_once: list[int] = []
    active = 0

    async def count(_: RunFilter) -> dict[Phase, int]:
        nonlocal active
        active += 1
        at_once.append(active)
        reading.release()
        await go_on.wait()
        active -= 1
        return {}

    monkeypatch.setattr(gateway.view, "count", count)
    reader = RunReader(view=gateway.view)
    waiting = [asyncio.create_task(reader.counts(RunFilter())) for _ in range(32)]
    await reading.acquire()

    with pytest.raises(ProblemError) as refused:
        await reader.counts(RunFilter())
    assert refused.value.problem.type is ProblemType.OVERLOADED

    go_on.set()
    await asyncio.gather(*waiting)
    assert at_once == [1] * 32
    assert await reader.counts(RunFilter()) == {}
