"""The API of Argo's Workflows, against a server on loopback."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sluice_argo.workflows_api import WorkflowPage, WorkflowsApi
from sluice_runtime.kubernetes.errors import (
    AlreadyExistsError,
    ApiUnavailableError,
    ConflictError,
    GoneError,
    NotFoundError,
    RefusedError,
)
from sluice_runtime.kubernetes.shallow_json import parse_shallow
from tests.unit.runtime.kubernetes.api_server import ApiServer, api_server, connected

PATH = "/apis/argoproj.io/v1alpha1/namespaces/argo/workflows"


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with api_server() as server:
        yield server


@pytest.fixture
async def workflows(server: ApiServer, tmp_path: Path) -> AsyncIterator[WorkflowsApi]:
    async with connected(server, tmp_path / "kubeconfig") as client:
        yield WorkflowsApi(client, namespace="argo", request_timeout=timedelta(seconds=30))


async def test_create(server: ApiServer, workflows: WorkflowsApi) -> None:
    server.answers({"metadata": {"uid": "u"}}, status=201)
    assert await workflows.create({"kind": "Workflow"}) == {"metadata": {"uid": "u"}}
    (asked,) = server.asked
    assert (asked.method, asked.path, asked.body) == ("POST", PATH, {"kind": "Workflow"})


async def test_a_create_sends_its_timeout_to_the_api_server(
    server: ApiServer, tmp_path: Path
) -> None:
    async with connected(server, tmp_path / "kubeconfig") as client:
        workflows = WorkflowsApi(
            client,
            namespace="argo",
            request_timeout=timedelta(seconds=30),
            create_timeout=timedelta(seconds=2.5),
        )
        server.answers({})
        await workflows.create({"kind": "Workflow"})
        await workflows.get("run-x")
    created, read = server.asked
    assert created.query == {"timeout": "2500ms"}
    assert read.query == {}


async def test_a_create_has_its_own_timeout(server: ApiServer, tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def never(_: web.Request) -> web.StreamResponse:
        await gate.wait()
        return web.Response()

    server.handler = never
    async with connected(server, tmp_path / "kubeconfig") as client:
        workflows = WorkflowsApi(
            client,
            namespace="argo",
            request_timeout=timedelta(milliseconds=80),
            create_timeout=timedelta(milliseconds=50),
        )
        with pytest.raises(ApiUnavailableError) as caught:
            await workflows.create({"kind": "Workflow"})
    # The server waits for it before it ends.
    gate.set()
    assert "create a Workflow: not done within 0.05 s" in str(caught.value)


async def test_a_taken_name_already_exists(server: ApiServer, workflows: WorkflowsApi) -> None:
    server.refuses(409, "AlreadyExists")
    with pytest.raises(AlreadyExistsError):
        await workflows.create({})


async def test_get(server: ApiServer, workflows: WorkflowsApi) -> None:
    server.answers({"kind": "Workflow"})
    assert await workflows.get("run-x") == {"kind": "Workflow"}
    assert (server.asked[0].method, server.asked[0].path) == ("GET", f"{PATH}/run-x")
    server.refuses(404, "NotFound")
    with pytest.raises(NotFoundError):
        await workflows.get("run-x")


async def test_patch(server: ApiServer, workflows: WorkflowsApi) -> None:
    operations: list[dict[str, Any]] = [{"op": "add", "path": "/a", "value": 1}]
    server.answers({"kind": "Workflow"})
    assert await workflows.patch("run-x", tuple(operations)) == {"kind": "Workflow"}
    (asked,) = server.asked
    assert (asked.method, asked.path, asked.body) == ("PATCH", f"{PATH}/run-x", operations)
    assert asked.headers["content-type"] == "application/json-patch+json"


@pytest.mark.parametrize(
    ("op", "status", "reason", "expected"),
    [
        ("test", 422, "Invalid", ConflictError),
        ("add", 422, "Invalid", RefusedError),
        ("test", 400, "BadRequest", RefusedError),
        ("test", 409, "Conflict", ConflictError),
        ("test", 404, "NotFound", NotFoundError),
        ("test", 500, "InternalError", ApiUnavailableError),
    ],
)
async def test_a_patch_whose_test_fails_is_a_conflict(
    server: ApiServer,
    workflows: WorkflowsApi,
    op: str,
    status: int,
    reason: str,
    expected: type[Exception],
) -> None:
    server.refuses(status, reason)
    with pytest.raises(expected) as caught:
        await workflows.patch("run-x", [{"op": op, "path": "/a", "value": 1}])
    assert type(caught.value) is expected


async def test_list_by_pages(server: ApiServer, workflows: WorkflowsApi) -> None:
    server.answers({"metadata": {"resourceVersion": "7", "continue": "more"}, "items": [{"a": 1}]})
    page = await workflows.list_page(limit=500, continue_token=None)
    assert page == WorkflowPage(items=[{"a": 1}], resource_version="7", continue_token="more")
    server.answers({"metadata": {"resourceVersion": "7", "continue": ""}, "items": None})
    last = await workflows.list_page(limit=500, continue_token="more")
    assert last == WorkflowPage(items=[], resource_version="7", continue_token=None)
    first_query, second_query = (asked.query for asked in server.asked)
    ours = {"labelSelector": "app.kubernetes.io/managed-by=sluice", "limit": "500"}
    assert first_query == ours
    assert second_query == ours | {"continue": "more"}


async def test_an_expired_token_is_gone(server: ApiServer, workflows: WorkflowsApi) -> None:
    server.refuses(410, "Expired")
    with pytest.raises(GoneError):
        await workflows.list_page(limit=1, continue_token="old")


@pytest.mark.parametrize("answer", [{}, {"metadata": None}, {"metadata": {"resourceVersion": ""}}])
async def test_an_invalid_list_is_unavailable(
    server: ApiServer, workflows: WorkflowsApi, answer: dict[str, Any]
) -> None:
    server.answers(answer)
    with pytest.raises(ApiUnavailableError, match="no resourceVersion"):
        await workflows.list_page(limit=1, continue_token=None)


async def test_watch(server: ApiServer, workflows: WorkflowsApi) -> None:
    server.answers(b'{"type":"ADDED"}\n')
    async with workflows.watch(resource_version="7", timeout_seconds=290) as chunks:
        assert b"".join([chunk async for chunk in chunks]) == b'{"type":"ADDED"}\n'
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("GET", PATH)
    assert asked.query == {
        "labelSelector": "app.kubernetes.io/managed-by=sluice",
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": "7",
        "timeoutSeconds": "290",
    }


async def test_a_watch_from_an_expired_version_is_gone(
    server: ApiServer, workflows: WorkflowsApi
) -> None:
    server.refuses(410, "Expired")
    with pytest.raises(GoneError):
        async with workflows.watch(resource_version="1", timeout_seconds=1):
            pass


async def test_list_with_a_deeply_nested_object_is_read(server: ApiServer, tmp_path: Path) -> None:
    levels = 2_000
    deep = b'{"metadata": {"uid": "b"}, "spec": ' + b'{"a":' * levels + b"1" + b"}" * levels + b"}"
    items = b'{"metadata": {"uid": "a"}}, ' + deep
    async with connected(server, tmp_path / "kubeconfig") as client:
        workflows = WorkflowsApi(
            client, namespace="argo", request_timeout=timedelta(seconds=30), parse=parse_shallow
        )
        server.answers(b'{"metadata": {"resourceVersion": "7"}, "items": [' + items + b"]}")
        page = await workflows.list_page(limit=10, continue_token=None)
        assert [item["metadata"]["uid"] for item in page.items] == ["a", "b"]
        server.answers(deep)
        assert (await workflows.get("b"))["metadata"] == {"uid": "b"}
        assert (await workflows.patch("b", []))["metadata"] == {"uid": "b"}


async def test_lists_and_watches_may_ask_for_metadata_alone(
    server: ApiServer, tmp_path: Path
) -> None:
    async with connected(server, tmp_path / "kubeconfig") as client:
        whole = WorkflowsApi(client, namespace="argo", request_timeout=timedelta(seconds=30))
        metadata = WorkflowsApi(
            client, namespace="argo", request_timeout=timedelta(seconds=30), listed="metadata"
        )
        for workflows in (whole, metadata):
            server.answers({"metadata": {"resourceVersion": "1"}, "items": []})
            await workflows.list_page(limit=1, continue_token=None)
            server.answers({})
            async with workflows.watch(resource_version="1", timeout_seconds=1):
                pass
    assert [asked.headers["accept"] for asked in server.asked] == [
        "application/json",
        "application/json",
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
    ]
