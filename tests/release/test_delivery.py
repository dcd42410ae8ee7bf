"""What Argo CD makes of commits: the real one, from a git server, on a real cluster."""

import asyncio
import collections
import json
import time
from collections.abc import Callable
from functools import partial

import pytest

from tests.release.delivery import REFUSED, Delivery
from tests.release.load import under_load
from tests.support.kafka import unique_name

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.upheaval,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("healthy"),
]

# Asked at this rate whatever the answers; what it came to is printed.
PER_SECOND = 220


async def test_the_root_application_brings_an_empty_cluster_a_sluice_that_runs_workflows(
    delivery: Delivery,
) -> None:
    async with delivery.client() as client:
        request = {"workflow": "map-reduce", "parameters": {"workers": 2, "text": "Straße a b a"}}
        outcome = await client.outcome(request)
    assert outcome["phase"] == "Succeeded", outcome
    assert json.loads(outcome["outputs"]["counts"]) == {"strasse": 1, "a": 2, "b": 1}


def test_no_application_takes_what_it_has_made_with_it(delivery: Delivery) -> None:
    applications = delivery.gitops.kubectl.get("applications")["items"]
    assert len(applications) == 3
    assert [each["metadata"].get("finalizers", []) for each in applications] == [[]] * 3


async def test_a_changed_greeting_and_tag_are_rolled_out_without_a_failed_request(
    delivery: Delivery, say: Callable[[str], None]
) -> None:
    greeting, tag = unique_name("Grüß Gott "), delivery.build()
    async with under_load(delivery.url(), workflow=REFUSED, per_second=PER_SECOND) as load:
        began = time.monotonic()
        delivery.change_sluice(tag=tag, greeting=greeting)
        commit = delivery.push(f"Greet with {greeting}")
        await asyncio.to_thread(delivery.await_tags, lambda tags: tag in tags)
        found = time.monotonic() - began
        await asyncio.to_thread(delivery.await_tags, lambda tags: tags == {tag})
        done = time.monotonic() - began
    # The smoke test waits behind all that was asked for.
    await asyncio.to_thread(delivery.await_health, "Healthy", commit=commit)
    said = f"a new pod {found:.1f} s after the push, only new ones after {done:.1f} s"
    say(f"Under load: {said}; {load.per_second:.0f} POST/s: {dict(load.answers)}")
    assert await delivery.greeting() == greeting
    assert load.answers.keys() == {"202"}
    ends = collections.Counter(await delivery.outcomes(load.accepted))
    assert ends == dict.fromkeys(load.accepted, 1)


@pytest.mark.parametrize("found_by", ["webhook", "poll"])
async def test_a_commit_is_found_by_itself(
    delivery: Delivery, found_by: str, say: Callable[[str], None]
) -> None:
    greeting, tag = unique_name("Servus "), delivery.build()
    delivery.change_sluice(tag=tag, greeting=greeting)
    push = delivery.push if found_by == "webhook" else delivery.repository.commit
    began = time.monotonic()
    commit = push(f"Greet with {greeting}")
    await asyncio.to_thread(delivery.await_tags, lambda tags: tag in tags)
    found = time.monotonic() - began
    await asyncio.to_thread(delivery.await_health, "Healthy", commit=commit)
    looks = delivery.gitops.settings.configs["cm"]["timeout.reconciliation"]
    say(f"By {found_by}: a new pod {found:.1f} s after the push (Argo CD looks every {looks})")
    assert await delivery.greeting() == greeting


async def test_a_broken_release_is_shown_while_the_service_goes_on_and_one_revert_heals_it(
    delivery: Delivery, say: Callable[[str], None]
) -> None:
    before = delivery.tag()
    # Pods of the release before that one may still be on their way out.
    await asyncio.to_thread(delivery.await_tags, lambda tags: tags == {before})
    delivery.change_sluice(tag=delivery.build(broken=True), greeting="Nobody will read this")
    async with under_load(delivery.url(), workflow=REFUSED, per_second=20) as load:
        began = time.monotonic()
        commit = delivery.push("Break it")
        await asyncio.to_thread(delivery.await_health, "Degraded", commit=commit)
        shown, reverted = time.monotonic() - began, time.monotonic()
        healed = delivery.push_revert()
        await asyncio.to_thread(delivery.await_health, "Healthy", commit=healed)
        # The sync of the broken release took it, without failing all its retries first.
        assert delivery.retries() > 0
        await asyncio.to_thread(delivery.await_tags, lambda tags: tags == {before})
        healing = time.monotonic() - reverted
    say(f"Broken: shown {shown:.0f} s after the push, healed {healing:.0f} s after the revert")
    assert load.answers.keys() == {"202"}


def test_objects_changed_or_deleted_by_hand_come_back(delivery: Delivery) -> None:
    kubectl, name = delivery.kubectl, "deployment/sluice-gateway"
    image = "{.spec.template.spec.containers[0].image}"
    was = kubectl("get", name, f"--output=jsonpath={image}")
    kubectl("set", "image", name, "*=docker.io/library/sluice-gateway:by-hand")
    kubectl("wait", name, f"--for=jsonpath={image}={was}", "--timeout=180s")

    kubectl("scale", name, "--replicas=1")
    kubectl("wait", name, "--for=jsonpath={.spec.replicas}=2", "--timeout=180s")

    deleted = [name, "statefulset/sluice-dispatcher"]
    kubectl("delete", *deleted)
    for each in deleted:
        delivery.await_(partial(kubectl.exists, each), what=f"{each} to be made again")
        kubectl("rollout", "status", each, "--timeout=180s")


def test_objects_dropped_from_git_are_pruned(delivery: Delivery) -> None:
    name = unique_name("extra")
    extra = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    delivery.repository.change_values(lambda values: {**values, "extraObjects": [extra]})
    commit = delivery.push("Add something")
    delivery.await_health("Healthy", commit=commit)
    assert delivery.kubectl.exists(f"configmap/{name}")
    delivery.await_health("Healthy", commit=delivery.push_revert())
    assert not delivery.kubectl.exists(f"configmap/{name}")


def test_a_changed_chart_waits_for_its_release_and_goes_with_its_revert(
    delivery: Delivery,
) -> None:
    name, repository = unique_name("charted"), delivery.repository
    repository.take_charts()
    delivery.await_health("Healthy", commit=delivery.push("Release the charts"))
    added = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    template = repository.tree / f"helm/sluice/templates/{name}.yaml"
    template.write_text(json.dumps(added), "utf-8")
    delivery.await_health("Healthy", commit=delivery.push("Change the chart"))
    assert not delivery.kubectl.exists(f"configmap/{name}")
    repository.take_charts()
    delivery.await_health("Healthy", commit=delivery.push("Release the charts"))
    assert delivery.kubectl.exists(f"configmap/{name}")
    delivery.await_health("Healthy", commit=delivery.push_revert())
    assert not delivery.kubectl.exists(f"configmap/{name}")
