"""Taking Sluice away again where Argo CD has brought it, by the very commands of the page."""

import asyncio
import os
from pathlib import Path

import pytest

from sluice_argo.metadata import FINALIZER
from testbed.building.commands import run
from tests.release.delivery import APPLICATION, NAMESPACE, RUNS, Delivery
from tests.release.repository import ENVIRONMENT

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.upheaval,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("healthy"),
]

_PAGE = Path("docs/operations.md")


def commands() -> str:
    """Return what the page has you type, with the testbed's namespace and environment."""
    _, _, after = _PAGE.read_text("utf-8").partition("### With Argo CD")
    _, _, block = after.partition("```sh\n")
    typed, fence, _ = block.partition("```")
    assert fence
    said = {
        "--namespace sluice ": f"--namespace {NAMESPACE} ",
        "environments/dev/": f"environments/{ENVIRONMENT}/",
    }
    for theirs, ours in said.items():
        assert theirs in typed
        typed = typed.replace(theirs, ours)
    return typed


def type_in(delivery: Delivery, script: str) -> None:
    """Have a shell run commands, as the administrator in a clone of what is delivered."""
    testbed = delivery.gitops.testbed
    stock = testbed.programs.stock
    tools = [stock.program("kubernetes", "kubectl").parent, stock.program("helm", "helm").parent]
    found = {
        "PATH": os.pathsep.join([*map(str, tools), os.environ["PATH"]]),
        "KUBECONFIG": str(testbed.kubeconfig()),
    }
    shell = ["bash", "-euo", "pipefail", "-c", script]
    run(shell, cwd=delivery.repository.tree, environment={**os.environ, **found})


def held(delivery: Delivery) -> bool:
    """Say whether Sluice's finalizer holds a Workflow that runs."""
    workflows = delivery.kubectl.within(RUNS).get("workflows")["items"]
    return any(
        each.get("status", {}).get("phase") == "Running"
        and FINALIZER in each["metadata"].get("finalizers", [])
        for each in workflows
    )


async def test_the_commands_of_the_page_take_all_of_it_away(delivery: Delivery) -> None:
    async with delivery.client() as client:
        await client.accepted({"workflow": "approval"})
    await asyncio.to_thread(delivery.await_, lambda: held(delivery), what="A run that waits")

    await asyncio.to_thread(type_in, delivery, commands())
    kinds = "deployments,statefulsets,services,configmaps,secrets,jobs"
    ours = "--selector=app.kubernetes.io/part-of=sluice"
    assert delivery.kubectl("get", kinds, ours, "--output=name").split() == []
    assert not delivery.gitops.kubectl.exists(f"application/{APPLICATION}")
    assert not held(delivery)
    delivery.kubectl("delete", "namespace", NAMESPACE, RUNS, "--timeout=60s")
