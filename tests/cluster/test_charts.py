"""All that our charts make, as a real API server takes it that knows every kind of it.

Nothing is made: a dry run on the server's side ends before it would be. Kubernetes and the
definitions check it, their CEL rules and Pod Security too.
"""

import copy
import json
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.stock import Stock
from testbed.testbed import Testbed
from tests.charts.rendering import (
    ALL_FILES,
    ALL_NAMES,
    CHART,
    KAFKA,
    Helm,
    Json,
    chart_of,
)

# Others ask the API server for all that it knows, and should not meet what comes and goes here.
pytestmark = [pytest.mark.cluster, pytest.mark.upheaval]

RESTRICTED = {
    f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")
}


@pytest.fixture(scope="module")
def stock(testbed: Testbed) -> Stock:
    """What the testbed has built."""
    return Stock(testbed.versions, cache=testbed.folders.cache)


@pytest.fixture(scope="module")
def helm(stock: Stock) -> Helm:
    """The helm that the testbed has built."""
    return Helm(stock.program("helm", "helm"))


@pytest.fixture(scope="module", autouse=True)
def definitions(testbed: Testbed, stock: Stock) -> Iterator[None]:
    """Have the API server know every kind that the charts make, for as long as it is asked."""
    kubectl = testbed.kubectl()
    before = names(testbed, "customresourcedefinitions")
    for folder in sorted(stock.definitions().iterdir()):
        kubectl.define([folder])
    added = names(testbed, "customresourcedefinitions") - before
    yield
    kubectl("delete", "customresourcedefinitions", "--wait=false", *added)


@pytest.fixture(scope="module", autouse=True)
def namespaces(testbed: Testbed, helm: Helm) -> Iterator[None]:
    """Make the namespaces that the charts speak of, as restricted as can be."""
    named = {
        each["metadata"].get("namespace", "default")
        for file in ALL_FILES
        for each in helm.rendered(file, chart_of(file)).objects
    }
    kubectl = testbed.kubectl()
    missing = named - names(testbed, "namespaces")
    assert missing, "nobody else has them all"
    kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": RESTRICTED},
        }
        for name in missing
    )
    yield
    kubectl("delete", "namespace", "--wait=false", *missing)


def names(testbed: Testbed, kind: str) -> set[str]:
    found = testbed.kubectl()("get", kind, "--output=name").split()
    return {name.rpartition("/")[2] for name in found}


def dry_run(testbed: Testbed, objects: Iterable[Json]) -> subprocess.CompletedProcess[str]:
    kubectl = testbed.kubectl()
    how = ("--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict")
    return subprocess.run(
        [kubectl.program, f"--kubeconfig={kubectl.kubeconfig}", "apply", *how, "-f", "-"],
        input=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("file", ALL_FILES, ids=ALL_NAMES)
def test_the_api_server_would_take_it_without_a_word(
    testbed: Testbed, helm: Helm, file: Path
) -> None:
    objects = helm.rendered(file, chart_of(file)).objects
    if not objects:
        # Of helm/workflows, all can be somebody else's.
        return
    done = dry_run(testbed, objects)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == len(objects)


def one(helm: Helm, chart: Path, kind: str) -> Json:
    rendered = helm.rendered(chart / "ci/everything-values.yaml", chart)
    return copy.deepcopy(rendered.of(kind)[0])


def change(each: Json, path: str, value: Any) -> Json:
    *steps, last = path.split(".")
    below: Any = each
    for step in steps:
        below = below[int(step) if step.isdigit() else step]
    below[last] = value
    return each


REFUSED = {
    # A field that nobody knows, a value of the wrong kind, a rule in CEL, and one that is CEL.
    "field": (KAFKA, "KafkaTopic", "spec.typo", 1, "unknown field"),
    "value": (CHART, "Service", "spec.ports.0.port", 70_000, "must be between 1 and 65535"),
    "rule": (KAFKA, "KafkaUser", "spec.authentication.validityDays", 9, "can be configured only"),
    "listener": (KAFKA, "Kafka", "spec.kafka.rack.topologyKey", "", "topologyKey property"),
    "expression": (
        CHART,
        "ValidatingAdmissionPolicy",
        "spec.validations.0.expression",
        "object.metadata.name ==",
        "Syntax error",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_it_would_say_what_is_wrong(testbed: Testbed, helm: Helm, what: str) -> None:
    chart, kind, path, value, said = REFUSED[what]
    done = dry_run(testbed, [change(one(helm, chart, kind), path, value)])
    assert done.returncode != 0
    assert said in done.stderr


def test_it_would_warn_of_a_pod_that_is_not_restricted(testbed: Testbed, helm: Helm) -> None:
    pod = change(one(helm, CHART, "Deployment"), "spec.template.spec.hostNetwork", value=True)
    done = dry_run(testbed, [pod])
    assert "would violate PodSecurity" in done.stderr
