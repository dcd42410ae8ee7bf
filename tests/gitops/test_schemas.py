"""The objects for Argo CD, and those it would deliver, are valid by the schemas of their kinds."""

from pathlib import Path

import pytest
import yaml

from testbed.folders import default_folders
from testbed.stock import Stock
from testbed.versions import load_versions
from tests.charts.kubeconform import Kubeconform
from tests.gitops.rendering import Delivery, Json
from tests.support.engines import skip


@pytest.fixture(scope="module")
def kubeconform() -> Kubeconform:
    """What knows the schemas of all kinds."""
    stock = Stock(load_versions(), cache=default_folders().cache)
    program, schemas = stock.program("kubeconform", "kubeconform"), stock.schemas()
    if not program.is_file() or not schemas.is_dir():
        skip("kubeconform is not built; `make test-charts` builds it")
    return Kubeconform(program, schemas=schemas)


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
