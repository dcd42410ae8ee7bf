"""The objects for Argo CD, and those it would deliver, are valid by the schemas of their kinds."""

import json
from pathlib import Path

import pytest
import yaml

from tests.charts.kubeconform import Kubeconform
from tests.gitops.rendering import Delivery, Json


def faults(kubeconform: Kubeconform, things: list[Json]) -> dict[str, str]:
    said = kubeconform.complaints(things)
    assert len(said) == len(things)
    return {name: fault for name, fault in said.items() if fault}


@pytest.mark.charts
def test_the_objects_for_argo_cd_are_valid(
    kubeconform: Kubeconform, delivery: Delivery, bare: Delivery
) -> None:
    root = yaml.safe_load(Path("argocd/root.yaml").read_text("utf-8"))
    assert faults(kubeconform, [root, *delivery.root]) == {}
    assert faults(kubeconform, delivery.applications) == {}
    assert faults(kubeconform, [*bare.root, *bare.applications]) == {}


@pytest.mark.charts
def test_delivered_objects_are_valid(kubeconform: Kubeconform, delivery: Delivery) -> None:
    for application in delivery.ours().values():
        assert faults(kubeconform, delivery.rendered(application)) == {}


@pytest.mark.charts
def test_the_defaults_of_workflows_are_valid(kubeconform: Kubeconform) -> None:
    file = Path("argocd/platform/values/argo-workflows.yaml")
    given = yaml.safe_load(file.read_text("utf-8"))["controller"]["workflowDefaults"]
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "given"},
        **given,
    }
    assert faults(kubeconform, [workflow]) == {}


@pytest.mark.charts
def test_a_mistake_is_noticed(kubeconform: Kubeconform, bare: Delivery) -> None:
    [application, _] = bare.applications
    wrong = {**application, "spec": {**application["spec"], "syncPolicies": {}}}
    assert "syncPolicies" in faults(kubeconform, [wrong])["Application/workflows-sluice-dev"]


@pytest.mark.charts
@pytest.mark.parametrize("stack", ["dev", "staging", "prod", "learnerlab"])
def test_what_pulumi_makes_in_the_cluster_is_valid(kubeconform: Kubeconform, stack: str) -> None:
    """As Pulumi's engine made it, in the golden files of tests/pulumi."""
    graph = json.loads(Path(f"tests/data/pulumi/{stack}.json").read_text("utf-8"))
    made = [node["inputs"] for node in graph.values() if "apiVersion" in node.get("inputs", {})]
    # The golden files leave out the root Application's spec, and show secrets as such.
    things = [each for each in made if each["kind"] not in {"Application", "Secret"}]
    kinds = {"ConfigMap", "IngressClass", "NodePool"} if stack != "learnerlab" else set()
    assert {each["kind"] for each in things} == {"StorageClass"} | kinds
    assert faults(kubeconform, things) == {}


@pytest.mark.charts
def test_a_mistake_in_a_node_pool_is_noticed(kubeconform: Kubeconform) -> None:
    graph = json.loads(Path("tests/data/pulumi/dev.json").read_text("utf-8"))
    [pool] = [node["inputs"] for name, node in graph.items() if ":NodePool " in name]
    pool["spec"]["disruption"]["consolidationPolicy"] = "WhenUnderutilized"
    assert "consolidationPolicy" in faults(kubeconform, [pool])["NodePool/workflows"]
