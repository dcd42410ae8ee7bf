"""Lists and watches of an API server. Needs a fixture `api`, like `kubernetes_objects`."""

from typing import Any

import pytest

from tests.behaviour.kubernetes_client import TEMPLATES, KubernetesClient, template


def names(answer: Any) -> list[str]:
    return [item["metadata"]["name"] for item in answer.body["items"]]


def version(obj: Any) -> str:
    return str(obj["metadata"]["resourceVersion"])


def seen(events: list[Any]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


class KubernetesListsSuite:
    async def test_list_is_ordered_and_has_a_version(self, api: KubernetesClient) -> None:
        for name in ("b", "a", "c"):
            last = await api.create(TEMPLATES, template(name))
        answer = await api.list(TEMPLATES)
        assert names(answer) == ["a", "b", "c"]
        assert answer.body["kind"] == "WorkflowTemplateList"
        assert int(version(answer.body)) >= int(version(last.body))

    async def test_list_everywhere(self, api: KubernetesClient) -> None:
        await api.create(TEMPLATES, template("a"))
        answer = await api.list_everywhere(TEMPLATES)
        assert (api.namespace, "a") in {
            (i["metadata"]["namespace"], i["metadata"]["name"]) for i in answer.body["items"]
        }

    @pytest.mark.parametrize(
        ("selector", "expected"),
        [
            ("app=x", ["ax", "axy"]),
            ("app==x", ["ax", "axy"]),
            ("app!=x", ["by", "none"]),
            ("app in (x, y)", ["ax", "axy", "by"]),
            ("app notin (x)", ["by", "none"]),
            ("app", ["ax", "axy", "by"]),
            ("!app", ["none"]),
            ("app=x,more=y", ["axy"]),
            ("app=x,!more", ["ax"]),
            ("sluice.dev/w in (1),app", ["by"]),
        ],
    )
    async def test_label_selectors(
        self, api: KubernetesClient, selector: str, expected: list[str]
    ) -> None:
        await api.create(TEMPLATES, template("ax", app="x"))
        await api.create(TEMPLATES, template("axy", app="x", more="y"))
        await api.create(TEMPLATES, template("by", **{"app": "y", "sluice.dev/w": "1"}))
        await api.create(TEMPLATES, template("none"))
        assert names(await api.list(TEMPLATES, labelSelector=selector)) == expected

    @pytest.mark.parametrize("selector", ["a=b c", "=", "a in b", "a=b=c/d"])
    async def test_invalid_selectors_are_refused(
        self, api: KubernetesClient, selector: str
    ) -> None:
        assert (await api.list(TEMPLATES, labelSelector=selector)).code == 400

    async def test_field_selectors(self, api: KubernetesClient) -> None:
        for name in ("a", "b"):
            await api.create(TEMPLATES, template(name))
        assert names(await api.list(TEMPLATES, fieldSelector="metadata.name=b")) == ["b"]
        assert (await api.list(TEMPLATES, fieldSelector="spec.entrypoint=main")).code == 400

    async def test_pages_show_one_moment(self, api: KubernetesClient) -> None:
        for name in "abcde":
            await api.create(TEMPLATES, template(name, page="1"))
        first = await api.list(TEMPLATES, limit="2")
        assert names(first) == ["a", "b"]
        assert first.body["metadata"]["remainingItemCount"] == 3
        await api.delete(TEMPLATES, "c")
        await api.create(TEMPLATES, template("cc"))
        await api.patch(TEMPLATES, "d", {"metadata": {"labels": {"page": "2"}}})
        token = first.body["metadata"]["continue"]
        second = await api.list(TEMPLATES, **{"limit": "2", "continue": token})
        assert names(second) == ["c", "d"]
        assert second.body["items"][1]["metadata"]["labels"] == {"page": "1"}
        assert version(second.body) == version(first.body)
        token = second.body["metadata"]["continue"]
        third = await api.list(TEMPLATES, **{"limit": "2", "continue": token})
        assert names(third) == ["e"]
        # A real server may announce more pages because of later objects, and then has none.
        while token := third.body["metadata"].get("continue"):
            third = await api.list(TEMPLATES, **{"limit": "2", "continue": token})
            assert names(third) == []

    async def test_an_invalid_continue_token_is_refused(self, api: KubernetesClient) -> None:
        assert (await api.list(TEMPLATES, **{"limit": "2", "continue": "nonsense"})).code == 400

    async def test_a_list_from_a_future_version_times_out(self, api: KubernetesClient) -> None:
        answer = await api.list(TEMPLATES, resourceVersion="99999999")
        assert (answer.code, answer.body["reason"]) == (504, "Timeout")

    async def test_watch_replays_from_a_version(self, api: KubernetesClient) -> None:
        start = version((await api.list(TEMPLATES)).body)
        await api.create(TEMPLATES, template("a"))
        await api.patch(TEMPLATES, "a", {"metadata": {"labels": {"x": "y"}}})
        await api.delete(TEMPLATES, "a")
        async with api.watch(TEMPLATES, resourceVersion=start) as watch:
            events = [await watch.next() for _ in range(3)]
        assert seen(events) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
        versions = [int(version(event["object"])) for event in events]
        assert versions == sorted(set(versions))
        assert events[2]["object"]["metadata"]["labels"] == {"x": "y"}

    @pytest.mark.parametrize("start", ["", "0"])
    async def test_watch_without_a_version_starts_with_the_state(
        self, api: KubernetesClient, start: str
    ) -> None:
        await api.create(TEMPLATES, template("a"))
        query = {"resourceVersion": start} if start else {}
        async with api.watch(TEMPLATES, **query) as watch:
            assert seen([await watch.next()]) == [("ADDED", "a")]
            await api.create(TEMPLATES, template("b"))
            assert seen([await watch.next()]) == [("ADDED", "b")]

    async def test_watch_follows_an_object_into_and_out_of_a_selector(
        self, api: KubernetesClient
    ) -> None:
        start = version((await api.list(TEMPLATES)).body)
        async with api.watch(TEMPLATES, resourceVersion=start, labelSelector="app=x") as watch:
            await api.create(TEMPLATES, template("other"))
            await api.create(TEMPLATES, template("a"))
            await api.patch(TEMPLATES, "a", {"metadata": {"labels": {"app": "x"}}})
            await api.patch(TEMPLATES, "a", {"metadata": {"labels": {"more": "1"}}})
            out = await api.patch(TEMPLATES, "a", {"metadata": {"labels": {"app": "y"}}})
            await api.patch(TEMPLATES, "a", {"metadata": {"labels": {"app": "x"}}})
            await api.delete(TEMPLATES, "a")
            events = [await watch.next() for _ in range(5)]
        types = [event["type"] for event in events]
        assert types == ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]
        # The real server sends the state before the object left, at the version of the change.
        left = events[2]["object"]["metadata"]
        assert (left["labels"]["app"], left["resourceVersion"]) == ("x", version(out.body))

    async def test_watch_of_one_object(self, api: KubernetesClient) -> None:
        start = version((await api.list(TEMPLATES)).body)
        for name in ("a", "b"):
            await api.create(TEMPLATES, template(name))
        async with api.watch(
            TEMPLATES, resourceVersion=start, fieldSelector="metadata.name=b"
        ) as watch:
            assert seen([await watch.next()]) == [("ADDED", "b")]

    async def test_a_finalizer_makes_a_deletion_a_modification(self, api: KubernetesClient) -> None:
        body = template("a")
        body["metadata"]["finalizers"] = ["sluice.dev/f"]
        start = version((await api.create(TEMPLATES, body)).body)
        async with api.watch(TEMPLATES, resourceVersion=start) as watch:
            await api.delete(TEMPLATES, "a")
            marked = await watch.next()
            assert marked["type"] == "MODIFIED"
            assert marked["object"]["metadata"]["deletionTimestamp"]
            await api.patch(TEMPLATES, "a", {"metadata": {"finalizers": []}})
            gone = await watch.next()
        assert gone["type"] == "DELETED"
        assert int(version(gone["object"])) > int(version(marked["object"]))

    async def test_watch_ends_at_its_timeout(self, api: KubernetesClient) -> None:
        start = version((await api.create(TEMPLATES, template("a"))).body)
        async with api.watch(TEMPLATES, resourceVersion=start, timeoutSeconds="1") as watch:
            assert await watch.rest() == []

    async def test_initial_events_end_with_a_bookmark(self, api: KubernetesClient) -> None:
        await api.create(TEMPLATES, template("a"))
        async with api.watch(
            TEMPLATES,
            sendInitialEvents="true",
            resourceVersionMatch="NotOlderThan",
            allowWatchBookmarks="true",
        ) as watch:
            assert seen([await watch.next()]) == [("ADDED", "a")]
            end = await watch.next()
        assert end["type"] == "BOOKMARK"
        assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}

    async def test_delete_collection(self, api: KubernetesClient) -> None:
        await api.create(TEMPLATES, template("a", app="x"))
        await api.create(TEMPLATES, template("b"))
        answer = await api.call("DELETE", api.path(TEMPLATES), query={"labelSelector": "app=x"})
        assert answer.code == 200
        assert names(await api.list(TEMPLATES)) == ["b"]
