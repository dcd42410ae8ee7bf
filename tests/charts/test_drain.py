"""At a release's end, and not before, its Workflows are let go."""

import importlib

import pytest

from tests.charts.rendering import Rendered

pytestmark = pytest.mark.charts

NAME = "sluice-drain"


def test_all_of_it_comes_after_the_release_and_goes_again(default: Rendered) -> None:
    parts = [each for each in default.objects if each["metadata"]["name"] == NAME]
    assert {each["kind"] for each in parts} == {"ServiceAccount", "Role", "RoleBinding", "Job"}
    for each in parts:
        annotations = each["metadata"]["annotations"]
        assert annotations["helm.sh/hook"] == "post-delete"
        assert "hook-succeeded" in annotations["helm.sh/hook-delete-policy"]
        # Else each sync of Argo CD's would have a look at it.
        assert annotations["argocd.argoproj.io/hook"] == "Skip"
    weights = {
        each["kind"]: int(each["metadata"]["annotations"]["helm.sh/hook-weight"]) for each in parts
    }
    assert max(weight for kind, weight in weights.items() if kind != "Job") < weights["Job"]


def test_it_runs_what_is_in_the_image_where_the_workflows_are(default: Rendered) -> None:
    pod = default.one("Job", NAME)["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["image"] == default.container("status-watcher")["image"]
    python, module_option, module = container["command"]
    assert (python, module_option) == ("python", "-m")
    assert callable(importlib.import_module(module).main)
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert environment == {
        "SLUICE_KUBERNETES__NAMESPACE": default.one("Role", NAME)["metadata"]["namespace"]
    }
