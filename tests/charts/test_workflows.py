"""helm/workflows makes what runs need where they live, and what helm/sluice makes just once."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from testbed.stock import Stock
from tests.charts.rendering import CHART, WORKFLOWS, Helm, Json, Rendered, ci_files, ci_name
from tests.support.stock import built

pytestmark = pytest.mark.charts

FILES = {ci_name(file): file for file in ci_files(WORKFLOWS)}
EXECUTOR = {"ServiceAccount", "Role", "RoleBinding", "Secret"}


@pytest.fixture(params=FILES)
def workflows(request: pytest.FixtureRequest, helm: Helm) -> Rendered:
    """The chart with any file of values."""
    return helm.rendered(FILES[request.param], WORKFLOWS)


@pytest.fixture
def default(helm: Helm) -> Rendered:
    """The chart as it is."""
    return helm.rendered(FILES["default"], WORKFLOWS)


@pytest.fixture
def everything(helm: Helm) -> Rendered:
    """The chart with all that can be on at once."""
    return helm.rendered(FILES["everything"], WORKFLOWS)


def executor(rendered: Rendered, namespace: str = "argo") -> list[Json]:
    """Give what is made for Argo's executor, without the labels, which name the release."""
    found = []
    for each in rendered.objects:
        metadata = {name: value for name, value in each["metadata"].items() if name != "labels"}
        if each["kind"] in EXECUTOR and metadata["namespace"] == namespace:
            found.append({**each, "metadata": metadata})
    return sorted(found, key=lambda each: str(each["kind"]))


def test_the_executor_is_that_of_helm_sluice(helm: Helm, default: Rendered) -> None:
    sluice = helm.rendered(CHART / "ci/default-values.yaml", CHART)
    [account] = sluice.one("RoleBinding", "sluice-executor")["subjects"]
    theirs = [each for each in executor(sluice) if account["name"] in each["metadata"]["name"]]
    assert executor(default) == theirs
    assert len(theirs) == len(EXECUTOR)


def test_one_of_both_makes_it(helm: Helm, tmp_path: Path, default: Rendered) -> None:
    """As the notes say."""
    notes = helm.notes(FILES["default"], WORKFLOWS)
    said = notes[notes.index("    workflows:") : notes.index("Workflows with artifacts")]
    values = tmp_path / "values.yaml"
    values.write_text(said, encoding="utf-8")
    sluice = helm.rendered(values, CHART)
    names = [
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"])
        for each in (*sluice.objects, *default.objects)
    ]
    assert len(names) == len(set(names))
    assert "sluice-executor" in {each["metadata"]["name"] for each in executor(default)}
    env = {each["name"]: each.get("value") for each in sluice.container("dispatcher")["env"]}
    assert env["SLUICE_WORKFLOWS__SERVICE_ACCOUNT"] == "sluice-executor"


def test_each_namespace_gets_the_same(everything: Rendered) -> None:
    def of(namespace: str) -> list[tuple[str, str]]:
        return sorted(
            (each["kind"], each["metadata"]["name"])
            for each in everything.objects
            if each["metadata"].get("namespace") == namespace
        )

    assert of("runs") == of("runs-nightly")
    assert len(of("runs")) > 10


def test_a_namespace_that_is_made_enforces_its_standard_and_stays(everything: Rendered) -> None:
    for namespace in everything.of("Namespace"):
        labels, annotations = namespace["metadata"]["labels"], namespace["metadata"]["annotations"]
        assert labels["pod-security.kubernetes.io/enforce"] == "baseline"
        assert annotations["argocd.argoproj.io/sync-options"] == "Prune=false,Delete=false"
        assert annotations["helm.sh/resource-policy"] == "keep"
    assert len(everything.of("Namespace")) == 2


def test_policies_are_for_pods_of_runs_alone(workflows: Rendered) -> None:
    """Argo's controller may live beside them."""
    for policy in workflows.of("NetworkPolicy"):
        assert policy["spec"]["podSelector"] == {
            "matchExpressions": [{"key": "workflows.argoproj.io/workflow", "operator": "Exists"}]
        }
        assert "ingress" not in policy["spec"]
    deny = [each for each in workflows.of("NetworkPolicy") if "egress" not in each["spec"]]
    assert all(each["spec"]["policyTypes"] == ["Ingress", "Egress"] for each in deny)
    assert bool(deny) == bool(workflows.of("NetworkPolicy"))


def test_the_store_is_reached_only_where_there_is_one(helm: Helm) -> None:
    def policies(name: str) -> set[str]:
        rendered = helm.rendered(FILES[name], WORKFLOWS)
        return {each["metadata"]["name"] for each in rendered.of("NetworkPolicy")}

    assert "sluice-runs-artifacts" not in policies("default")
    assert "sluice-runs-artifacts" in policies("pod-identity")
    assert "sluice-runs-pod-identity" in policies("pod-identity")
    assert "sluice-runs-pod-identity" not in policies("everything")


def test_a_pod_that_says_nothing_fits_the_quota(workflows: Rendered) -> None:
    """A quota on requests refuses pods that have none."""
    for quota in workflows.of("ResourceQuota"):
        asked = {name.removeprefix("requests.") for name in quota["spec"]["hard"] if "." in name}
        [limits] = workflows.one_in("LimitRange", quota["metadata"]["namespace"])["spec"]["limits"]
        assert asked & {"cpu", "memory"} <= limits["defaultRequest"].keys()


@pytest.mark.parametrize("name", ["pod-identity", "everything"])
def test_argo_would_understand_the_repository(helm: Helm, stock: Stock, name: str) -> None:
    """By Argo's own schema, which a Workflow's status has."""
    schema = json.loads(
        built(stock.schemas() / "workflow-argoproj.io-v1alpha1.json").read_text("utf-8")
    )
    reference = schema["properties"]["status"]["properties"]["artifactRepositoryRef"]
    repository = reference["properties"]["artifactRepository"]
    assert repository["additionalProperties"] is False
    rendered = helm.rendered(FILES[name], WORKFLOWS)
    for config in rendered.of("ConfigMap"):
        # https://argo-workflows.readthedocs.io/en/latest/artifact-repository-ref/
        assert config["metadata"]["name"] == "artifact-repositories"
        key = config["metadata"]["annotations"]["workflows.argoproj.io/default-artifact-repository"]
        given = yaml.safe_load(config["data"][key])
        jsonschema.validate(given, repository)
        # Unless the values say otherwise.
        assert given["archiveLogs"] is (name != "everything")
        assert given["s3"].get("useSDKCreds", False) != ("accessKeySecret" in given["s3"])
    assert rendered.of("ConfigMap")
