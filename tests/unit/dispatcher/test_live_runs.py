"""Which runs count as live, whatever is seen of them and when."""

from collections import Counter
from typing import Any

import pytest

from sluice_argo import metadata
from sluice_dispatcher.domain.live_runs import LiveRuns


class Counted:
    def __init__(self) -> None:
        self.tenants: Counter[str] = Counter()
        self.runs = LiveRuns(self.count, places=places)

    def count(self, *, tenant: str, workflow: str, change: int) -> None:
        assert workflow == "hello"
        self.tenants[tenant] += change

    def admit(self, name: str, *, tenant: str = "a") -> None:
        """As the queue does, which counts what it lets start."""
        self.count(tenant=tenant, workflow="hello", change=1)
        self.runs.admit(name, tenant=tenant, workflow="hello")


def places(tenant: str) -> tuple[str, ...]:
    """The tenant `b` has moved."""
    return ("new", "old") if tenant == "b" else ("argo",)


def workflow(
    name: str, *, tenant: str = "a", completed: bool = False, namespace: str = "argo"
) -> dict[str, Any]:
    labels = {metadata.TENANT: tenant, metadata.WORKFLOW: "hello"}
    if completed:
        labels[metadata.COMPLETED] = "true"
    return {
        "metadata": {
            "uid": f"uid of {name}",
            "name": name,
            "namespace": namespace,
            "labels": labels,
        }
    }


@pytest.fixture
def counted() -> Counted:
    return Counted()


def test_a_workflow_is_live_until_argo_has_completed_it(counted: Counted) -> None:
    assert counted.runs.see(workflow("one"), gone=False) == "one"
    assert counted.tenants["a"] == 1
    assert counted.runs.see(workflow("one"), gone=False) is None
    counted.runs.see(workflow("one", completed=True), gone=False)
    assert counted.tenants["a"] == 0
    assert counted.runs.exists("one")
    counted.runs.see(workflow("one"), gone=False)
    assert counted.tenants["a"] == 1
    counted.runs.see(workflow("one"), gone=True)
    assert counted.tenants["a"] == 0
    assert not counted.runs.exists("one")


def test_an_own_run_counts_once_before_and_after_it_is_seen(counted: Counted) -> None:
    counted.admit("one")
    counted.runs.created("one", now=10)
    assert counted.tenants["a"] == 1
    counted.runs.see(workflow("one"), gone=False)
    assert counted.tenants["a"] == 1
    counted.runs.gave_up("one", forget_at=None)
    assert counted.tenants["a"] == 1


def test_an_own_run_that_was_not_created_counts_no_longer(counted: Counted) -> None:
    counted.admit("one")
    counted.runs.gave_up("one", forget_at=None)
    assert counted.tenants["a"] == 0


def test_an_own_run_whose_create_is_unclear_counts_until_it_cannot_be_created(
    counted: Counted,
) -> None:
    counted.admit("one")
    counted.runs.gave_up("one", forget_at=60)
    counted.runs.expire(now=59)
    assert counted.tenants["a"] == 1
    counted.runs.expire(now=60)
    assert counted.tenants["a"] == 0


def test_a_list_drops_what_it_lacks_but_not_what_was_created_after_its_beginning(
    counted: Counted,
) -> None:
    """A Workflow may come and go between two watches."""
    counted.runs.see(workflow("gone"), gone=False)
    for name, at in (("before", 10.0), ("after", 20.0)):
        counted.admit(name)
        counted.runs.created(name, now=at)
    counted.admit("under way")
    counted.runs.see(workflow("kept"), gone=False)
    counted.runs.complete({"uid of kept"}, namespace="argo", listed_at=15)
    assert counted.tenants["a"] == 3
    assert not counted.runs.exists("gone")
    counted.runs.complete({"uid of kept"}, namespace="argo", listed_at=25)
    assert counted.tenants["a"] == 2


def test_a_workflow_that_is_not_a_run_does_not_count(counted: Counted) -> None:
    foreign = workflow("other")
    del foreign["metadata"]["labels"]
    assert counted.runs.see(foreign, gone=False) is None
    assert counted.runs.see(foreign, gone=True) == "other"
    assert not counted.tenants


def test_a_run_that_is_admitted_again_counts_once() -> None:
    """Its create was unclear, and its record is read again after a rebalance."""
    counts: Counter[tuple[str, str]] = Counter()

    def count(*, tenant: str, workflow: str, change: int) -> None:
        counts[tenant, workflow] += change

    live = LiveRuns(count, places=places)
    for _ in range(3):
        # The queue counts a run when it lets it pass.
        count(tenant="acme", workflow="hello", change=1)
        live.admit("run-1", tenant="acme", workflow="hello")
        live.gave_up("run-1", forget_at=100.0)
    assert counts["acme", "hello"] == 1
    live.expire(now=100.0)
    assert counts["acme", "hello"] == 0


def test_a_workflow_that_was_replaced_under_its_name_is_live() -> None:
    live = LiveRuns(lambda **_: None, places=places)
    labels = {metadata.TENANT: "acme", metadata.WORKFLOW: "hello"}
    for uid in ("old", "new"):
        live.see(
            {"metadata": {"uid": uid, "name": "run-1", "namespace": "argo", "labels": labels}},
            gone=False,
        )
    live.complete({"new"}, namespace="argo", listed_at=1.0)
    assert live.is_live("run-1")
    live.see(
        {"metadata": {"uid": "new", "name": "run-1", "namespace": "argo", "labels": labels}},
        gone=True,
    )
    assert not live.exists("run-1")


def test_a_list_says_nothing_of_other_namespaces(counted: Counted) -> None:
    counted.runs.see(workflow("one", tenant="b", namespace="old"), gone=False)
    counted.runs.complete(set(), namespace="new", listed_at=1)
    assert counted.runs.is_live("one")
    counted.runs.complete(set(), namespace="old", listed_at=1)
    assert not counted.runs.exists("one")


def test_an_own_run_of_a_moved_tenant_counts_until_all_its_namespaces_lack_it(
    counted: Counted,
) -> None:
    """It may have been found where the tenant was before."""
    counted.admit("one", tenant="b")
    counted.runs.created("one", now=10)
    for namespace, at, live in (("new", 11.0, 1), ("argo", 12.0, 1), ("old", 9.0, 1)):
        counted.runs.complete(set(), namespace=namespace, listed_at=at)
        assert counted.tenants["b"] == live
    counted.runs.complete(set(), namespace="old", listed_at=13)
    assert counted.tenants["b"] == 0
