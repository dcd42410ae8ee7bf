"""Real Argo runs in a namespace that helm/workflows has made: account, artifacts and bounds."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed.cluster.argo import BUCKET, STORE_PASSWORD, STORE_SECRET, STORE_USER
from testbed.kubectl import Kubectl
from testbed.machine.addresses import STORE_ENDPOINT
from testbed.stock import Stock
from testbed.testbed import Testbed
from tests.charts.rendering import WORKFLOWS, Helm
from tests.support.kafka import unique_name

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

Json = dict[str, Any]

EXECUTOR = "runner"
ENDED = "--for=jsonpath={.status.finishedAt}"
COUNTED = "--for=jsonpath={.status.used.pods}"


@pytest.fixture
def home(testbed: Testbed, tmp_path: Path) -> Iterator[Kubectl]:
    """A namespace by the chart, with room for one pod at a time."""
    stock = Stock(testbed.versions, cache=testbed.folders.cache)
    namespace = unique_name("chart")
    values = tmp_path / "values.yaml"
    given = {
        "namespaces": {"names": [namespace], "create": True},
        "executor": {"name": EXECUTOR},
        "artifacts": {
            "s3": {
                "bucket": BUCKET,
                "endpoint": STORE_ENDPOINT,
                "insecure": True,
                "keyFormat": "by-the-chart/{{workflow.name}}/{{pod.name}}",
                "existingSecret": STORE_SECRET,
                "accessKeyKey": "user",
                "secretKeyKey": "password",
            }
        },
        "quota": {"hard": {"pods": "1", "requests.cpu": "1", "requests.memory": "1Gi"}},
    }
    values.write_text(yaml.safe_dump(given), encoding="utf-8")
    rendered = Helm(stock.program("helm", "helm")).rendered(values, WORKFLOWS)
    kubectl = testbed.kubectl()
    # Helm, too, makes namespaces first.
    kubectl.apply(rendered.of("Namespace"))
    kubectl.apply(each for each in rendered.objects if each["kind"] != "Namespace")
    kubectl.apply(
        [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": STORE_SECRET, "namespace": namespace},
                "stringData": {"user": STORE_USER, "password": STORE_PASSWORD},
            }
        ]
    )
    made = kubectl.within(namespace)
    made("wait", "resourcequota/sluice-runs", COUNTED, "--timeout=120s")
    yield made
    kubectl("delete", "namespace", namespace, "--wait=false")


def step(name: str, script: str, **more: Json) -> Json:
    return {
        "name": name,
        "container": {
            "image": "busybox:latest",
            "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", script],
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            },
        },
        **more,
    }


def workflow() -> Json:
    """Two steps at once that each keep a text, and one that reads both."""
    passed = [
        {"name": name, "from": f"{{{{tasks.{name}.outputs.artifacts.text}}}}"}
        for name in ("left", "right")
    ]
    kept = {"artifacts": [{"name": "text", "path": "/tmp/text"}]}
    read = {
        "artifacts": [{"name": each["name"], "path": f"/tmp/{each['name']}"} for each in passed]
    }
    tasks = [
        {"name": "left", "template": "write"},
        {"name": "right", "template": "write"},
        {
            "name": "both",
            "template": "read",
            "depends": "left && right",
            "arguments": {"artifacts": passed},
        },
    ]
    return named(
        "both",
        {"name": "main", "dag": {"tasks": tasks}},
        step("write", "echo a text > /tmp/text", outputs=kept),
        step("read", "cmp /tmp/left /tmp/right", inputs=read),
    )


def failing() -> Json:
    """One step that fails, and whose pod stays."""
    made = named("failing", step("main", "echo why; exit 3"))
    made["spec"]["podGC"] = {"strategy": "OnPodSuccess"}
    return made


def named(name: str, *templates: Json) -> Json:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {
            "entrypoint": "main",
            "serviceAccountName": EXECUTOR,
            "automountServiceAccountToken": False,
            "executor": {"serviceAccountName": EXECUTOR},
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "templates": list(templates),
        },
    }


def ended_at(pod: Json) -> str:
    states = [container["state"] for container in pod["status"]["containerStatuses"]]
    return max(str(state["terminated"]["finishedAt"]) for state in states)


def test_a_run_keeps_its_artifacts_and_waits_for_room(home: Kubectl, testbed: Testbed) -> None:
    """Two pods at once are more than the quota lets in: one of them has to wait, and does.

    A pod of a failed step, which stays, takes no room.
    """
    home("create", "-f", "-", stdin=json.dumps(failing()))
    home("wait", "workflow/failing", ENDED, "--timeout=120s")
    assert [pod["status"]["phase"] for pod in home.get("pods")["items"]] == ["Failed"]
    home("create", "-f", "-", stdin=json.dumps(workflow()))
    home("wait", "workflow/both", ENDED, "--timeout=240s")
    run = home.get("workflow", "both")
    assert run["status"]["phase"] == "Succeeded", run["status"].get("message")
    pods = home.get("pods", "--selector=workflows.argoproj.io/workflow=both")["items"]
    assert len(pods) == 3
    # Each came once the one before had ended.
    pods.sort(key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    for before, after in itertools.pairwise(pods):
        assert after["metadata"]["creationTimestamp"] >= ended_at(before)
    folder = testbed.programs.artifacts / BUCKET / "by-the-chart/both"
    assert len(list(folder.rglob("text.tgz"))) == 2
    assert len(list(folder.rglob("main.log"))) == 3
    [log] = folder.with_name("failing").rglob("main.log")
    assert log.read_text() == "why\n"


def test_containers_that_say_nothing_are_given_what_the_chart_says(home: Kubectl) -> None:
    home("create", "-f", "-", stdin=json.dumps(workflow()))
    home("wait", "pod", "--for=create", "--selector=workflows.argoproj.io/workflow=both")
    for pod in home.get("pods")["items"]:
        for container in pod["spec"]["containers"]:
            assert container["resources"]["requests"] == {"cpu": "50m", "memory": "64Mi"}
            assert container["resources"]["limits"] == {"memory": "512Mi"}
