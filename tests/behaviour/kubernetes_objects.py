"""Objects of an API server. The suite runs on the local engine and on a real API server.

It needs a fixture `api`: a `KubernetesClient` for an empty namespace.
"""

from typing import Any

import pytest

from tests.behaviour.kubernetes_client import (
    JSON_PATCH,
    LEASES,
    MERGE_PATCH,
    TEMPLATES,
    KubernetesClient,
    template,
)

FINALIZER = "sluice.dev/outcome-published"


def refused(answer: Any, code: int, reason: str) -> None:
    assert (answer.code, answer.body["kind"], answer.body["status"]) == (code, "Status", "Failure")
    assert (answer.body["code"], answer.body.get("reason", "")) == (code, reason)
    assert answer.body["message"]


class KubernetesObjectsSuite:
    async def test_create_completes_the_metadata(self, api: KubernetesClient) -> None:
        created = await api.create(TEMPLATES, template("one"))
        assert created.code == 201
        metadata = created.body["metadata"]
        assert metadata["namespace"] == api.namespace
        assert metadata["uid"]
        assert metadata["creationTimestamp"].endswith("Z")
        assert metadata["generation"] == 1
        assert int(metadata["resourceVersion"]) > 0
        assert (await api.get(TEMPLATES, "one")).body == created.body

    async def test_a_name_is_taken_once(self, api: KubernetesClient) -> None:
        await api.create(TEMPLATES, template("one"))
        refused(await api.create(TEMPLATES, template("one")), 409, "AlreadyExists")

    async def test_a_create_past_its_timeout_has_no_effect(self, api: KubernetesClient) -> None:
        late = await api.call(
            "POST", api.path(TEMPLATES), template("late"), query={"timeout": "1ns"}
        )
        assert (late.code, late.body["reason"]) == (504, "Timeout")
        refused(await api.get(TEMPLATES, "late"), 404, "NotFound")
        for timeout in ("15000ms", "1m30s", "0s"):
            answer = await api.call(
                "POST", api.path(TEMPLATES), template(f"in-{timeout}"), query={"timeout": timeout}
            )
            assert answer.code == 201

    async def test_a_timeout_is_a_duration(self, api: KubernetesClient) -> None:
        answer = await api.call(
            "POST", api.path(TEMPLATES), template("one"), query={"timeout": "soon"}
        )
        refused(answer, 400, "BadRequest")

    async def test_generate_name_adds_five_characters(self, api: KubernetesClient) -> None:
        body = template("")
        body["metadata"] = {"generateName": "run-"}
        names = {(await api.create(TEMPLATES, body)).body["metadata"]["name"] for _ in range(3)}
        assert len(names) == 3
        assert all(name.startswith("run-") and len(name) == 9 for name in names)

    @pytest.mark.parametrize("name", ["Upper", "under_score", "-dash", "dot.", "x" * 254, "a..b"])
    async def test_a_name_is_an_rfc_1123_subdomain(self, api: KubernetesClient, name: str) -> None:
        refused(await api.create(TEMPLATES, template(name)), 422, "Invalid")

    async def test_a_label_value_is_checked(self, api: KubernetesClient) -> None:
        refused(await api.create(TEMPLATES, template("one", app="no spaces")), 422, "Invalid")

    async def test_a_name_or_generate_name_is_required(self, api: KubernetesClient) -> None:
        body = template("")
        del body["metadata"]["name"]
        refused(await api.create(TEMPLATES, body), 422, "Invalid")

    async def test_a_spec_is_required(self, api: KubernetesClient) -> None:
        body = template("one")
        del body["spec"]
        refused(await api.create(TEMPLATES, body), 422, "Invalid")

    async def test_the_namespace_must_agree(self, api: KubernetesClient) -> None:
        body = template("one")
        body["metadata"]["namespace"] = "elsewhere"
        refused(await api.create(TEMPLATES, body), 400, "BadRequest")

    async def test_the_kind_must_agree(self, api: KubernetesClient) -> None:
        body = template("one") | {"kind": "Workflow"}
        refused(await api.create(TEMPLATES, body), 422, "Invalid")

    async def test_a_body_that_is_not_json(self, api: KubernetesClient) -> None:
        answer = await api.call("POST", api.path(TEMPLATES), b"{nonsense")
        refused(answer, 400, "BadRequest")

    async def test_a_missing_object_is_not_found(self, api: KubernetesClient) -> None:
        refused(await api.get(TEMPLATES, "none"), 404, "NotFound")
        refused(await api.delete(TEMPLATES, "none"), 404, "NotFound")
        refused(await api.patch(TEMPLATES, "none", {}), 404, "NotFound")

    async def test_one_version_counter_grows_over_all_resources(
        self, api: KubernetesClient
    ) -> None:
        first = (await api.create(TEMPLATES, template("one"))).body
        lease = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}}
        second = (await api.create(LEASES, lease)).body
        third = (await api.patch(TEMPLATES, "one", {"metadata": {"labels": {"a": "b"}}})).body
        versions = [int(obj["metadata"]["resourceVersion"]) for obj in (first, second, third)]
        assert versions == sorted(set(versions))

    async def test_put_needs_the_current_version(self, api: KubernetesClient) -> None:
        created = (await api.create(TEMPLATES, template("one"))).body
        created["metadata"]["labels"] = {"a": "1"}
        changed = await api.put(TEMPLATES, "one", created)
        assert changed.code == 200
        refused(await api.put(TEMPLATES, "one", created), 409, "Conflict")
        without = template("one")
        refused(await api.put(TEMPLATES, "one", without), 422, "Invalid")

    async def test_put_under_another_name_or_uid(self, api: KubernetesClient) -> None:
        created = (await api.create(TEMPLATES, template("one"))).body
        other = created | {"metadata": created["metadata"] | {"name": "two"}}
        refused(await api.put(TEMPLATES, "one", other), 400, "BadRequest")
        other = created | {"metadata": created["metadata"] | {"uid": "1-2-3"}}
        refused(await api.put(TEMPLATES, "one", other), 409, "Conflict")

    async def test_the_same_content_changes_nothing(self, api: KubernetesClient) -> None:
        created = (await api.create(TEMPLATES, template("one"))).body
        assert (await api.put(TEMPLATES, "one", created)).body == created
        assert (await api.patch(TEMPLATES, "one", {})).body == created

    async def test_generation_counts_changes_outside_the_metadata(
        self, api: KubernetesClient
    ) -> None:
        await api.create(TEMPLATES, template("one"))
        labelled = await api.patch(TEMPLATES, "one", {"metadata": {"labels": {"a": "b"}}})
        assert labelled.body["metadata"]["generation"] == 1
        changed = await api.patch(TEMPLATES, "one", {"spec": {"entrypoint": "other"}})
        assert changed.body["metadata"]["generation"] == 2

    async def test_merge_patch(self, api: KubernetesClient) -> None:
        await api.create(TEMPLATES, template("one", keep="1", drop="2"))
        patch = {"metadata": {"labels": {"drop": None, "new": "3"}}, "spec": {"entrypoint": "x"}}
        changed = (await api.patch(TEMPLATES, "one", patch)).body
        assert changed["metadata"]["labels"] == {"keep": "1", "new": "3"}
        assert changed["spec"]["entrypoint"] == "x"
        assert changed["spec"]["templates"]
        assert changed["metadata"]["name"] == "one"
        assert (await api.get(TEMPLATES, "one")).body == changed

    async def test_merge_patch_with_a_version(self, api: KubernetesClient) -> None:
        version = (await api.create(TEMPLATES, template("one"))).body["metadata"]["resourceVersion"]
        patch = {"metadata": {"resourceVersion": version, "labels": {"a": "b"}}}
        assert (await api.patch(TEMPLATES, "one", patch)).code == 200
        refused(await api.patch(TEMPLATES, "one", patch), 409, "Conflict")

    async def test_json_patch(self, api: KubernetesClient) -> None:
        created = (await api.create(TEMPLATES, template("one", a="1"))).body
        patch = [
            {"op": "test", "path": "/metadata/labels/a", "value": "1"},
            {
                "op": "test",
                "path": "/metadata/resourceVersion",
                "value": created["metadata"]["resourceVersion"],
            },
            {"op": "add", "path": "/metadata/labels/x.dev~1y", "value": "2"},
            {"op": "replace", "path": "/spec/templates/0/name", "value": "other"},
            {"op": "add", "path": "/spec/templates/-", "value": {"name": "more", "suspend": {}}},
            {"op": "remove", "path": "/metadata/labels/a"},
        ]
        changed = await api.patch(TEMPLATES, "one", patch, JSON_PATCH)
        assert changed.code == 200
        assert changed.body["metadata"]["labels"] == {"x.dev/y": "2"}
        assert [t["name"] for t in changed.body["spec"]["templates"]] == ["other", "more"]

    @pytest.mark.parametrize(
        "operation",
        [
            {"op": "test", "path": "/metadata/labels/a", "value": "other"},
            {"op": "remove", "path": "/metadata/labels/none"},
            {"op": "replace", "path": "/spec/templates/7", "value": {}},
            {"op": "add", "path": "/spec/templates/7", "value": {}},
        ],
    )
    async def test_json_patch_that_does_not_apply_changes_nothing(
        self, api: KubernetesClient, operation: Any
    ) -> None:
        created = (await api.create(TEMPLATES, template("one", a="1"))).body
        add = {"op": "add", "path": "/metadata/labels/b", "value": "2"}
        refused(await api.patch(TEMPLATES, "one", [add, operation], JSON_PATCH), 422, "Invalid")
        assert (await api.get(TEMPLATES, "one")).body == created

    async def test_json_patch_replaces_a_missing_member(self, api: KubernetesClient) -> None:
        await api.create(TEMPLATES, template("one", a="1"))
        replace = {"op": "replace", "path": "/metadata/labels/b", "value": "2"}
        changed = (await api.patch(TEMPLATES, "one", [replace], JSON_PATCH)).body
        assert changed["metadata"]["labels"] == {"a": "1", "b": "2"}

    async def test_a_patch_cannot_change_the_uid(self, api: KubernetesClient) -> None:
        await api.create(TEMPLATES, template("one"))
        refused(await api.patch(TEMPLATES, "one", {"metadata": {"uid": "x"}}), 422, "Invalid")

    async def test_a_patch_of_an_unknown_type(self, api: KubernetesClient) -> None:
        await api.create(TEMPLATES, template("one"))
        answer = await api.patch(TEMPLATES, "one", {}, "application/strategic-merge-patch+json")
        refused(answer, 415, "UnsupportedMediaType")
        assert (await api.patch(TEMPLATES, "one", {}, MERGE_PATCH)).code == 200

    async def test_delete(self, api: KubernetesClient) -> None:
        created = (await api.create(TEMPLATES, template("one"))).body
        deleted = await api.delete(TEMPLATES, "one", {"propagationPolicy": "Background"})
        assert (deleted.code, deleted.body["status"]) == (200, "Success")
        assert deleted.body["details"]["uid"] == created["metadata"]["uid"]
        refused(await api.get(TEMPLATES, "one"), 404, "NotFound")

    @pytest.mark.parametrize("field", ["uid", "resourceVersion"])
    async def test_delete_with_preconditions(self, api: KubernetesClient, field: str) -> None:
        created = (await api.create(TEMPLATES, template("one"))).body
        wrong = {"preconditions": {field: "12345678"}}
        refused(await api.delete(TEMPLATES, "one", wrong), 409, "Conflict")
        right = {"preconditions": {field: created["metadata"][field]}}
        assert (await api.delete(TEMPLATES, "one", right)).code == 200

    async def test_a_finalizer_keeps_an_object(self, api: KubernetesClient) -> None:
        body = template("one")
        body["metadata"]["finalizers"] = [FINALIZER, "sluice.dev/other"]
        await api.create(TEMPLATES, body)
        marked = await api.delete(TEMPLATES, "one")
        assert marked.body["metadata"]["deletionTimestamp"]
        assert (await api.delete(TEMPLATES, "one")).body == marked.body
        remove = [
            {"op": "test", "path": "/metadata/finalizers/0", "value": FINALIZER},
            {"op": "remove", "path": "/metadata/finalizers/0"},
        ]
        kept = await api.patch(TEMPLATES, "one", remove, JSON_PATCH)
        assert kept.body["metadata"]["finalizers"] == ["sluice.dev/other"]
        refused(
            await api.patch(TEMPLATES, "one", {"metadata": {"finalizers": [FINALIZER]}}),
            422,
            "Invalid",
        )
        last = await api.patch(TEMPLATES, "one", {"metadata": {"finalizers": None}})
        assert last.code == 200
        refused(await api.get(TEMPLATES, "one"), 404, "NotFound")

    async def test_an_object_that_does_not_fit_into_etcd(self, api: KubernetesClient) -> None:
        body = template("one")
        body["spec"]["templates"][0]["suspend"] = {"duration": "x" * (3 * 512 * 1024)}
        answer = await api.create(TEMPLATES, body)
        assert (answer.code, answer.body["message"]) == (500, "etcdserver: request is too large")

    async def test_a_too_large_body_is_refused(self, api: KubernetesClient) -> None:
        answer = await api.call("POST", api.path(TEMPLATES), b" " * (3 * 1024 * 1024 + 1))
        refused(answer, 413, "RequestEntityTooLarge")

    async def test_a_lease_is_an_object_like_others(self, api: KubernetesClient) -> None:
        spec = {"holderIdentity": "a", "renewTime": "2026-01-01T00:00:00.000000Z"}
        created = (await api.create(LEASES, {"metadata": {"name": "l"}, "spec": spec})).body
        assert (created["apiVersion"], created["kind"]) == ("coordination.k8s.io/v1", "Lease")
        taken = created | {"spec": spec | {"holderIdentity": "b"}}
        assert (await api.put(LEASES, "l", taken)).body["spec"]["holderIdentity"] == "b"
        refused(await api.put(LEASES, "l", taken), 409, "Conflict")

    async def test_unknown_paths(self, api: KubernetesClient) -> None:
        for path in ("apis/argoproj.io/v1alpha1/nonsense", "apis/x/v1/y", "nonsense"):
            assert await api.text("GET", f"{api.url}/{path}") == (404, "404 page not found\n")
