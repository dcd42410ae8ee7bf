"""What Argo CD makes of commits: the real one, from a git server, on a real cluster."""

import asyncio
import json
import re
import time
from collections.abc import Callable

import aiohttp
import pytest

from testbed.waiting import wait_until
from tests.release.delivery import NAMESPACE, Delivery
from tests.release.load import Load, under_load
from tests.support.client import Client
from tests.support.kafka import unique_name

pytestmark = [pytest.mark.cluster, pytest.mark.upheaval, pytest.mark.timeout(600)]

SERVICES = ("gateway", "dispatcher", "status-watcher")
PER_SECOND = 210


@pytest.fixture(autouse=True)
def healthy(delivery: Delivery) -> None:
    """Each test begins with the last commit delivered."""
    delivery.await_health("Healthy", commit=delivery.repository.head())


async def test_the_root_application_brings_an_empty_cluster_a_sluice_that_runs_workflows(
    delivery: Delivery,
) -> None:
    text = "Straße a b a {{workflow.name}}"
    request = {"workflow": "map-reduce", "parameters": {"workers": 2, "text": text}}
    async with aiohttp.ClientSession(delivery.url()) as http:
        outcome = await Client(http).outcome(request)
    assert outcome["phase"] == "Succeeded", outcome
    counts = {"strasse": 1, "a": 2, "b": 1, "workflow": 1, "name": 1}
    assert json.loads(outcome["outputs"]["counts"]) == counts


async def test_a_changed_greeting_is_found_and_rolled_out_without_a_failed_request(
    delivery: Delivery,
) -> None:
    tag = new_tag(delivery)
    greeting = unique_name("Grüß-Gott")
    change(delivery, tag=tag, greeting=greeting)
    async with under_load(delivery.url(), per_second=PER_SECOND) as load:
        began = time.monotonic()
        commit = delivery.release(f"Greet with {greeting}")
        await asyncio.to_thread(
            wait_until, lambda: has_pod(delivery, tag), what="A new pod", seconds=60
        )
        found = time.monotonic() - began
        await asyncio.to_thread(delivery.await_health, "Healthy", commit=commit)
        await asyncio.to_thread(
            wait_until, lambda: all_pods(delivery) == {tag}, what="The old ones' end", seconds=120
        )
        done = time.monotonic() - began
    print(
        f"\nwebhook: new pod after {found:.1f} s, all new after {done:.1f} s, {load.rate:.0f} POST/s: {load.answers}"
    )
    async with aiohttp.ClientSession(delivery.url()) as http, http.get("/") as response:
        assert (await response.json())["message"] == greeting
    assert load.answers.keys() == {"202"}
    assert load.rate >= 200


def new_tag(delivery: Delivery) -> str:
    """Give the images that there are a new tag, as a build of a new commit would."""
    tag = unique_name("v")
    for service in SERVICES:
        delivery.gitops.testbed.tag_image(f"sluice-{service}:dev", f"sluice-{service}:{tag}")
    return tag


def change(delivery: Delivery, *, tag: str, greeting: str) -> None:
    delivery.repository.release(tag=tag)
    values = delivery.repository.sluice
    written, times = re.subn(
        r"(?m)^( +greeting: ).*$", rf"\g<1>{greeting}", values.read_text("utf-8")
    )
    assert times == 1
    values.write_text(written, "utf-8")


def all_pods(delivery: Delivery) -> set[str]:
    """Return the tags of the images that the gateway's pods run."""
    pods = delivery.kubectl.get("pods", "--selector=app.kubernetes.io/component=gateway")["items"]
    return {pod["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in pods}


def has_pod(delivery: Delivery, tag: str) -> bool:
    return tag in all_pods(delivery)
