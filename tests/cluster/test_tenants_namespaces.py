"""The dispatcher's policy, as a real API server applies it to the Workflows of tenants."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sluice_contracts.ids import RunKey, workflow_name
from sluice_dispatcher.domain.verdict import Verdict
from sluice_dispatcher.settings import DispatcherSettings
from testbed.stock import Stock
from testbed.testbed import Testbed
from testbed.waiting import wait_until
from tests.charts.rendering import CHART
from tests.support.dispatcher import Desk, hello
from tests.support.fake_workflows import FakeWorkflows
from tests.support.kafka import unique_name

pytestmark = pytest.mark.cluster

Json = dict[str, Any]

ELSEWHERE = "keeps to the namespace of the tenant's Workflows"


class Asked:
    """An API server, and the account of a dispatcher that serves two namespaces."""

    def __init__(self, testbed: Testbed, *, home: str, acme: str) -> None:
        kubectl = testbed.kubectl()
        self.home, self.acme = home, acme
        self.command = [str(kubectl.program), f"--kubeconfig={kubectl.kubeconfig}"]
        self.account = f"--as=system:serviceaccount:{home}:sluice-dispatcher"

    def create(self, workflow: Json, namespace: str, *how: str) -> str:
        """Return why it refuses a Workflow there; "": it does not."""
        metadata = {**workflow["metadata"], "namespace": namespace}
        return self._says(["create", *how, "-f", "-"], {**workflow, "metadata": metadata})

    def stop(self, workflow: Json, namespace: str) -> str:
        """Return why the dispatcher may not stop a Workflow there; "": it may."""
        patch = json.dumps({"spec": {"shutdown": "Stop"}})
        name = workflow["metadata"]["name"]
        how = ["patch", "workflow", name, "-n", namespace, "--type=merge", f"--patch={patch}"]
        return self._says([*how, self.account])

    def _says(self, how: list[str], what: Json | None = None) -> str:
        done = subprocess.run(
            [*self.command, *how],
            input=json.dumps(what),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stderr if done.returncode else ""


def workflow_of(tenant: str, *, home: str, acme: str) -> Json:
    """Return a Workflow as the dispatcher creates it."""
    kubernetes = {"namespace": home, "tenants": {"acme": {"namespace": acme}}}
    settings = DispatcherSettings.model_validate({"kubernetes": kubernetes})
    places = [FakeWorkflows(namespace=each) for each in (home, acme)]
    desk = Desk(settings=settings, workflows=places[0], elsewhere=places[1:])
    record = desk.record(hello("order-1", tenant=tenant))
    assert asyncio.run(desk.handler.handle(record)) is Verdict.CREATED
    name = workflow_name(RunKey(tenant, "order-1"))
    [made] = [each.object_for_test(name) for each in places if name in each.names_for_test()]
    for added in ("uid", "resourceVersion", "creationTimestamp"):
        del made["metadata"][added]
    return made


@pytest.fixture
def asked(testbed: Testbed, namespace: str, tmp_path: Path) -> Iterator[Asked]:
    """Have the chart's accounts and policies in force, for a tenant that moves."""
    acme = unique_name("acme")
    testbed.kubectl()("create", "namespace", acme)
    helm = Stock(testbed.versions, cache=testbed.folders.cache).program("helm", "helm")
    values = {
        "gateway": {"auth": {"mode": "none"}},
        "workflows": {
            "namespace": namespace,
            "tenants": {"acme": {"namespace": acme, "movedFrom": [namespace]}},
        },
    }
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(values), "utf-8")
    templates = [f"--show-only=templates/{each}.yaml" for each in ("accounts", "admission")]
    rendered = subprocess.check_output(
        [helm, "template", "sluice", CHART, "-f", file, *templates, "-n", namespace], text=True
    )
    asked = Asked(testbed, home=namespace, acme=acme)
    subprocess.run([*asked.command, "apply", "-f", "-"], input=rendered, text=True, check=True)
    others = workflow_of("default", home=namespace, acme=acme)
    try:
        # A policy is in force some time after it was made.
        wait_until(
            lambda: ELSEWHERE in asked.create(others, acme, asked.account, "--dry-run=server"),
            what="The policy",
            seconds=60,
        )
        yield asked
    finally:
        subprocess.run([*asked.command, "delete", "-f", "-"], input=rendered, text=True, check=True)
        testbed.kubectl()("delete", "namespace", acme, "--wait=false")


def test_a_tenant_s_workflow_is_created_in_its_own_namespace_only(asked: Asked) -> None:
    trial = (asked.account, "--dry-run=server")
    acmes = workflow_of("acme", home=asked.home, acme=asked.acme)
    others = workflow_of("default", home=asked.home, acme=asked.acme)
    assert asked.create(acmes, asked.acme, *trial) == ""
    assert asked.create(others, asked.home, *trial) == ""
    assert ELSEWHERE in asked.create(acmes, asked.home, *trial)
    assert ELSEWHERE in asked.create(others, asked.acme, *trial)


def test_a_run_from_before_the_move_takes_commands_where_it_is(asked: Asked) -> None:
    acmes = workflow_of("acme", home=asked.home, acme=asked.acme)
    del acmes["metadata"]["finalizers"]
    # As a dispatcher did before the move.
    assert asked.create(acmes, asked.home) == ""
    assert asked.stop(acmes, asked.home) == ""


def test_the_dispatcher_has_no_rights_elsewhere(asked: Asked) -> None:
    others = workflow_of("default", home=asked.home, acme=asked.acme)
    assert "forbidden" in asked.create(others, "default", asked.account, "--dry-run=server")
