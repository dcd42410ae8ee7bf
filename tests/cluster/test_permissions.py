"""What each account may do, and that it may do nothing else: the API server is asked for all."""

import asyncio
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from testbed.cluster.namespaces import EXECUTOR, SLUICE, account_of
from testbed.machine.addresses import API_URL
from testbed.testbed import Testbed
from tests.behaviour.kubernetes_client import KubernetesClient
from tests.support.kafka import unique_name

pytestmark = pytest.mark.cluster

Json = dict[str, Any]

VERBS = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]
MORE_VERBS = {
    "users": ["impersonate"],
    "groups": ["impersonate"],
    "serviceaccounts": ["impersonate"],
    "roles": ["bind", "escalate"],
    "clusterroles": ["bind", "escalate"],
}
# What Kubernetes lets every account ask about itself.
ABOUT_ITSELF = {"selfsubjectaccessreviews", "selfsubjectreviews", "selfsubjectrulesreviews"}
REVIEWS = f"{API_URL}/apis/authorization.k8s.io/v1/subjectaccessreviews"


class Deed(NamedTuple):
    """A verb on a resource, such as `workflows` or `pods/exec`, of a group."""

    verb: str
    group: str
    resource: str


def on_workflows(*verbs: str) -> set[Deed]:
    return {Deed(verb, "argoproj.io", "workflows") for verb in verbs}


@pytest.fixture(scope="module")
def home(testbed: Testbed) -> Iterator[str]:
    """A namespace that runs can live in."""
    name = unique_name("permissions")
    testbed.prepare_namespace(name)
    yield name
    testbed.kubectl()("delete", "namespace", name, "--wait=false")


async def every_deed(api: KubernetesClient) -> list[Deed]:
    """Say all that can be done to any kind of thing that the API server knows."""
    groups = (await api.call("GET", f"{API_URL}/apis")).body["groups"]
    versions = [("", "api/v1")] + [
        (group["name"], f"apis/{version['groupVersion']}")
        for group in groups
        for version in group["versions"]
    ]
    resources: dict[str, set[str]] = {}
    for group, path in versions:
        known = (await api.call("GET", f"{API_URL}/{path}")).body["resources"]
        resources.setdefault(group, set(MORE_VERBS)).update(entry["name"] for entry in known)
    deeds = []
    for group, names in resources.items():
        for resource in names:
            verbs = [*VERBS, *MORE_VERBS.get(resource, [])]
            deeds += [Deed(verb, group, resource) for verb in verbs]
    return deeds


async def allowed(
    api: KubernetesClient, account: str, *, lives_in: str, namespace: str, name: str = ""
) -> set[Deed]:
    """Say what the account may do in a namespace; "" is all of them, and the cluster itself.

    A name is what each thing is called; "" is any.
    """
    slots = asyncio.Semaphore(32)

    async def may(deed: Deed) -> bool:
        resource, _, part = deed.resource.partition("/")
        attributes = {
            "namespace": namespace,
            "verb": deed.verb,
            "group": deed.group,
            "resource": resource,
            "subresource": part,
            "name": name,
        }
        account_name = f"system:serviceaccount:{lives_in}:{account}"
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{lives_in}"]
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": account_name,
                "groups": [*groups, "system:authenticated"],
                "resourceAttributes": attributes,
            },
        }
        async with slots:
            return bool((await api.call("POST", REVIEWS, review)).body["status"]["allowed"])

    deeds = [deed for deed in await every_deed(api) if deed.resource not in ABOUT_ITSELF]
    assert len(deeds) > 500
    answers = await asyncio.gather(*map(may, deeds))
    return {deed for deed, answer in zip(deeds, answers, strict=True) if answer}


async def test_the_dispatcher(api: KubernetesClient, home: str) -> None:
    account = account_of("dispatcher")
    there = await allowed(api, account, lives_in=SLUICE, namespace=home)
    assert there == on_workflows("create", "get", "list", "watch", "patch") | {
        Deed("delete", "", "pods")
    }
    for elsewhere in ("", SLUICE, "default", "kube-system"):
        assert await allowed(api, account, lives_in=SLUICE, namespace=elsewhere) == set()


async def test_the_dispatcher_where_a_workflow_limits_a_key(
    testbed: Testbed, api: KubernetesClient
) -> None:
    namespace = unique_name("permissions")
    testbed.prepare_namespace(namespace)
    account = account_of("dispatcher")
    without = await allowed(api, account, lives_in=SLUICE, namespace=namespace)
    testbed.allow_slots(namespace)
    there = await allowed(api, account, lives_in=SLUICE, namespace=namespace)
    testbed.kubectl()("delete", "namespace", namespace, "--wait=false")
    assert there - without == {
        Deed(verb, "coordination.k8s.io", "leases")
        for verb in ("create", "get", "list", "update", "delete")
    }
    assert without <= there


async def test_the_status_watcher(api: KubernetesClient, home: str) -> None:
    account = account_of("status-watcher")
    there = await allowed(api, account, lives_in=SLUICE, namespace=home)
    assert there == on_workflows("get", "list", "watch", "patch")
    for elsewhere in ("", "default", "kube-system"):
        found = await allowed(api, account, lives_in=SLUICE, namespace=elsewhere)
        assert found == on_workflows("patch")
    for lease, verbs in (("", ["create"]), (account, ["create", "get", "update"])):
        at_home = await allowed(api, account, lives_in=SLUICE, namespace=SLUICE, name=lease)
        leases = {Deed(verb, "coordination.k8s.io", "leases") for verb in verbs}
        assert at_home == on_workflows("patch") | leases


async def test_the_executor_of_one_tenant_can_do_nothing_where_another_s_runs_are(
    api: KubernetesClient, home: str, testbed: Testbed
) -> None:
    other = unique_name("permissions")
    testbed.prepare_namespace(other)
    try:
        assert await allowed(api, EXECUTOR, lives_in=home, namespace=other) == set()
        assert await allowed(api, EXECUTOR, lives_in=other, namespace=home) == set()
    finally:
        testbed.kubectl()("delete", "namespace", other, "--wait=false")


async def test_the_executor(api: KubernetesClient, home: str) -> None:
    results = {Deed(verb, "argoproj.io", "workflowtaskresults") for verb in ("create", "patch")}
    assert await allowed(api, EXECUTOR, lives_in=home, namespace=home) == results
    for elsewhere in ("", SLUICE, "default"):
        assert await allowed(api, EXECUTOR, lives_in=home, namespace=elsewhere) == set()


async def test_an_account_that_may_all_would_be_seen(api: KubernetesClient, home: str) -> None:
    controller = "namespace-controller"
    found = await allowed(api, controller, lives_in="kube-system", namespace=home)
    assert Deed("delete", "argoproj.io", "workflows") in found
