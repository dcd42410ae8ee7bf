"""Patches, selectors and the store: without HTTP."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_engine.documents import decode, same_json
from sluice_engine.store.errors import ApiError
from sluice_engine.store.patches import json_patch, merge_patch
from sluice_engine.store.resources import LEASES, Key
from sluice_engine.store.store import Store

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b/", "~"]), inner)
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(VALUES, VALUES)
def test_merge_patch_is_rfc_7386(target: Any, patch: Any) -> None:
    def reference(target: Any, patch: Any) -> Any:
        if isinstance(patch, dict):
            result = target.copy() if isinstance(target, dict) else {}
            for name, value in patch.items():
                if value is None:
                    result.pop(name, None)
                else:
                    result[name] = reference(result.get(name), value)
            return result
        return patch

    assert same_json(merge_patch(target, patch), reference(target, patch))


@settings(deadline=None)
@given(VALUES, VALUES)
def test_json_patch_replaces_the_whole(target: Any, value: Any) -> None:
    whole = [{"op": "test", "path": "", "value": target}, {"op": "add", "path": "", "value": value}]
    assert same_json(json_patch(target, whole), value)


# From appendix A of RFC 6902.
@pytest.mark.parametrize(
    ("document", "operation", "expected"),
    [
        ({"foo": "bar"}, {"op": "add", "path": "/baz", "value": 1}, {"foo": "bar", "baz": 1}),
        ({"foo": [1, 3]}, {"op": "add", "path": "/foo/1", "value": 2}, {"foo": [1, 2, 3]}),
        ({"foo": [1]}, {"op": "add", "path": "/foo/-", "value": [2]}, {"foo": [1, [2]]}),
        ({"a": 1, "b": 2}, {"op": "remove", "path": "/b"}, {"a": 1}),
        ({"foo": [1, 2, 3]}, {"op": "remove", "path": "/foo/1"}, {"foo": [1, 3]}),
        ({"a": 1}, {"op": "replace", "path": "/a", "value": 2}, {"a": 2}),
        ({"foo": [1, 2]}, {"op": "replace", "path": "/foo/0", "value": 3}, {"foo": [3, 2]}),
        (
            {"foo": {"bar": 1}, "qux": {}},
            {"op": "move", "from": "/foo/bar", "path": "/qux/thud"},
            {"foo": {}, "qux": {"thud": 1}},
        ),
        ({"a": [1]}, {"op": "copy", "from": "/a", "path": "/b"}, {"a": [1], "b": [1]}),
        ({"/": 9, "~1": 10}, {"op": "test", "path": "/~01", "value": 10}, {"/": 9, "~1": 10}),
        ({"a": None}, {"op": "test", "path": "/a", "value": None}, {"a": None}),
    ],
)
def test_json_patch(document: Any, operation: Any, expected: Any) -> None:
    assert json_patch(document, [operation]) == expected


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/a", "value": True},
        {"op": "test", "path": "/b", "value": None},
        {"op": "remove", "path": "/b"},
        {"op": "replace", "path": "/l/2", "value": 1},
        {"op": "add", "path": "/b/c", "value": 1},
        {"op": "add", "path": "/l/2", "value": 1},
        {"op": "add", "path": "/l/01", "value": 1},
        {"op": "remove", "path": "/l/-"},
        {"op": "move", "from": "/b", "path": "/c"},
    ],
)
def test_json_patch_that_does_not_apply(operation: Any) -> None:
    document = {"a": 1, "l": [1]}
    with pytest.raises(ApiError) as caught:
        json_patch(document, [operation])
    assert (caught.value.code, document) == (422, {"a": 1, "l": [1]})


@pytest.mark.parametrize(
    "patch", [{}, [1], [{"op": "x", "path": ""}], [{"op": "add", "path": "/a"}], [{"op": "remove"}]]
)
def test_a_document_other_than_a_json_patch_is_refused(patch: Any) -> None:
    with pytest.raises(ApiError) as caught:
        json_patch({}, patch)
    assert caught.value.code == 400


def lease(name: str) -> Any:
    return {"metadata": {"name": name}, "spec": {}}


def test_history_is_bounded_by_bytes(tmp_path: Path) -> None:
    store = Store(tmp_path, max_changes=100, max_bytes=1000)
    start = store.version
    for number in range(5):
        body = lease(f"l{number}") | {"spec": {"holderIdentity": "x" * 300}}
        store.create(LEASES, "argo", body)
    assert store.history.oldest > start
    assert len(list(store.history.after(store.history.oldest))) < 5
    store.close()


def test_a_state_of_the_past(tmp_path: Path) -> None:
    store = Store(tmp_path, max_changes=100, max_bytes=10**6)
    store.create(LEASES, "argo", lease("kept"))
    store.create(LEASES, "argo", lease("gone"))
    then = store.version
    store.delete(Key(LEASES, "argo", "gone"))
    store.create(LEASES, "argo", lease("new"))
    changed = store.get(Key(LEASES, "argo", "kept"))
    changed["spec"]["holderIdentity"] = "me"
    store.update(Key(LEASES, "argo", "kept"), changed)
    past = [decode(body) for body in store.select(LEASES, version=then).bodies]
    assert [(o["metadata"]["name"], o["spec"]) for o in past] == [("gone", {}), ("kept", {})]
    store.close()


def test_nothing_is_stored_of_a_change_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path, max_changes=100, max_bytes=10**6)
    before = store.version

    def full(*_args: Any, **_kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store._database, "save", full)
    with pytest.raises(OSError, match="No space"):
        store.create(LEASES, "argo", lease("l"))
    assert store.version == before
    assert not store.keys(LEASES)
    assert not list(store.history.after(before))
    store.close()
