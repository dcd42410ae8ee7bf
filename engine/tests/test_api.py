"""The Kubernetes API of the local engine, and what is its own."""

from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest

from sluice_engine.engine import Engine
from sluice_engine.settings import EngineSettings
from tests.behaviour.kubernetes_client import LEASES, TEMPLATES, KubernetesClient, template
from tests.behaviour.kubernetes_lists import KubernetesListsSuite
from tests.behaviour.kubernetes_objects import KubernetesObjectsSuite


class TestObjects(KubernetesObjectsSuite):
    pass


class TestLists(KubernetesListsSuite):
    pass


@pytest.fixture
async def forgetful(
    settings: EngineSettings, session: aiohttp.ClientSession
) -> AsyncIterator[KubernetesClient]:
    """An engine that keeps next to no history, and sends bookmarks all the time."""
    async with Engine(replace(settings, history_changes=2, bookmark_seconds=0.01)) as engine:
        yield KubernetesClient(session, engine.url, "argo")


async def test_a_watch_from_before_the_history_ends_with_410(forgetful: KubernetesClient) -> None:
    start = (await forgetful.create(TEMPLATES, template("a"))).body["metadata"]["resourceVersion"]
    for name in "bcd":
        await forgetful.create(TEMPLATES, template(name))
    async with forgetful.watch(TEMPLATES, resourceVersion=start) as watch:
        assert watch.code == 200
        [event] = await watch.rest()
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")


async def test_a_watch_from_a_version_that_is_yet_to_come_ends_with_410(
    api: KubernetesClient,
) -> None:
    async with api.watch(TEMPLATES, resourceVersion="4711") as watch:
        [event] = await watch.rest()
    assert event["object"]["code"] == 410


async def test_a_page_of_a_list_that_is_forgotten_is_gone(forgetful: KubernetesClient) -> None:
    for name in "abcd":
        await forgetful.create(TEMPLATES, template(name))
    first = await forgetful.list(TEMPLATES, limit="2")
    for name in "efg":
        await forgetful.create(TEMPLATES, template(name))
    token = first.body["metadata"]["continue"]
    answer = await forgetful.list(TEMPLATES, **{"limit": "2", "continue": token})
    assert (answer.code, answer.body["reason"]) == (410, "Expired")


async def test_compaction_on_request(api: KubernetesClient) -> None:
    start = (await api.create(TEMPLATES, template("a"))).body["metadata"]["resourceVersion"]
    await api.create(TEMPLATES, template("b"))
    assert (await api.call("POST", f"{api.url}/local/compact")).code == 200
    async with api.watch(TEMPLATES, resourceVersion=start) as watch:
        [event] = await watch.rest()
    assert event["object"]["code"] == 410


async def test_bookmarks_move_a_quiet_watch_on(forgetful: KubernetesClient) -> None:
    start = (await forgetful.create(TEMPLATES, template("a"))).body["metadata"]["resourceVersion"]
    async with forgetful.watch(
        TEMPLATES, resourceVersion=start, allowWatchBookmarks="true", labelSelector="app=x"
    ) as watch:
        lease = {"metadata": {"name": "l"}, "spec": {}}
        version = (await forgetful.create(LEASES, lease)).body["metadata"]["resourceVersion"]
        event = await watch.next()
        while event["object"]["metadata"]["resourceVersion"] != version:
            assert event["type"] == "BOOKMARK"
            event = await watch.next()
        assert event["object"]["kind"] == "WorkflowTemplate"


async def test_a_watch_ends_with_a_bookmark(forgetful: KubernetesClient) -> None:
    async with forgetful.watch(
        TEMPLATES, resourceVersion="", allowWatchBookmarks="true", timeoutSeconds="1"
    ) as watch:
        events = await watch.rest()
    assert events[-1]["type"] == "BOOKMARK"


async def test_watches_end_cleanly_when_the_engine_stops(
    settings: EngineSettings, session: aiohttp.ClientSession
) -> None:
    async with Engine(settings) as engine:
        api = KubernetesClient(session, engine.url, "argo")
        await api.create(TEMPLATES, template("a"))
        async with api.watch(TEMPLATES) as watch:
            await watch.next()
            await engine.stop()
            assert await watch.rest() == []
            await engine.start()


async def test_it_says_what_it_is(api: KubernetesClient) -> None:
    version = await api.call("GET", f"{api.url}/version")
    assert version.body["gitVersion"] == "v1.34.0+sluice-local-engine"
    assert "stand-in" in version.body["notKubernetes"]
    assert version.headers["Server"] == "sluice-local-engine"
    missing = await api.get(TEMPLATES, "none")
    assert missing.headers["Server"] == "sluice-local-engine"


async def test_discovery(api: KubernetesClient, session: aiohttp.ClientSession) -> None:
    groups = (await api.call("GET", f"{api.url}/apis")).body["groups"]
    assert {group["name"] for group in groups} == {"argoproj.io", "coordination.k8s.io"}
    found = (await api.call("GET", f"{api.url}/apis/argoproj.io/v1alpha1")).body
    kinds = {resource["name"]: resource["namespaced"] for resource in found["resources"]}
    assert kinds == {
        "workflows": True,
        "workflowtemplates": True,
        "clusterworkflowtemplates": False,
    }
    for probe in ("livez", "readyz"):
        async with session.get(f"{api.url}/{probe}") as response:
            assert (response.status, await response.text()) == (200, "ok")


async def test_a_cluster_wide_resource(api: KubernetesClient) -> None:
    path = f"{api.url}/apis/argoproj.io/v1alpha1/clusterworkflowtemplates"
    body = template("shared") | {"kind": "ClusterWorkflowTemplate"}
    created = await api.call("POST", path, body)
    assert created.code == 201
    assert "namespace" not in created.body["metadata"]
    assert (await api.call("GET", f"{path}/shared")).body == created.body


async def test_web_pages_are_refused(api: KubernetesClient, session: aiohttp.ClientSession) -> None:
    headers = {"Origin": "https://example.org"}
    async with session.post(api.path(TEMPLATES), json=template("a"), headers=headers) as answer:
        assert answer.status == 403
    assert (await api.list(TEMPLATES)).body["items"] == []


async def test_dry_run_is_refused(api: KubernetesClient) -> None:
    answer = await api.call("POST", api.path(TEMPLATES), template("a"), query={"dryRun": "All"})
    assert answer.code == 400
    assert (await api.list(TEMPLATES)).body["items"] == []
