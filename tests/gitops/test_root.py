"""The root Application, and what the chart that it points to makes."""

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.chart_docs import described_schema, values_of
from tests.gitops.rendering import (
    ENVIRONMENTS,
    REPOSITORY,
    ROOT,
    Delivery,
    Helm,
    Json,
    annotation,
    sources,
)

WAVE = "argocd.argoproj.io/sync-wave"
PARTS: dict[str, Json] = yaml.safe_load((ROOT / "files/parts.yaml").read_text("utf-8"))
VALUES: Json = yaml.safe_load((ROOT / "values.yaml").read_text("utf-8"))


def root_application() -> Json:
    found: Json = yaml.safe_load(Path("argocd/root.yaml").read_text("utf-8"))
    return found


def test_the_root_application_points_at_what_is_there() -> None:
    source = root_application()["spec"]["source"]
    assert Path(source["path"]) == ROOT
    [values] = source["helm"]["valueFiles"]
    assert (ROOT / values).resolve().is_file()


def test_a_fork_changes_one_line_and_all_of_ours_comes_from_there() -> None:
    """As https://argo-cd.readthedocs.io/en/stable/user-guide/build-environment/ has it."""
    given = {
        each["name"]: each["value"]
        for each in root_application()["spec"]["source"]["helm"]["parameters"]
    }
    assert given == {
        "repoURL": "$ARGOCD_APP_SOURCE_REPO_URL",
        "revision": "$ARGOCD_APP_SOURCE_TARGET_REVISION",
    }


def test_a_root_deleted_by_mistake_takes_nothing_with_it() -> None:
    assert "finalizers" not in root_application()["metadata"]


@pytest.mark.charts
def test_nothing_that_is_made_has_a_finalizer_that_would_take_everything_along(
    delivery: Delivery,
) -> None:
    for each in [*delivery.root, *delivery.applications]:
        assert "finalizers" not in each["metadata"], each["metadata"]["name"]
        if each["kind"] == "ApplicationSet":
            assert each["spec"]["syncPolicy"] == {"preserveResourcesOnDeletion": True}


@pytest.mark.charts
def test_waves_come_in_order(delivery: Delivery) -> None:
    """Projects, resources, operators, Argo Workflows, our charts, and what nobody waits for."""
    waves: dict[str, int] = {
        f"{each['kind']} {each['metadata']['name']}": int(annotation(each, WAVE))
        for each in delivery.root
    }
    kinds = {
        "AppProject platform": 0,
        "AppProject services": 0,
        "Application argo-workflows-crds": 1,
        "Application prometheus-operator-crds": 1,
        "ApplicationSet external-secrets": 2,
        "Application keda": 2,
        "Application strimzi": 2,
        "Application argo-workflows": 3,
        "ApplicationSet services": 4,
        "Application kube-prometheus-stack": 5,
        "ApplicationSet external-dns": 5,
    }
    assert waves.keys() <= kinds.keys()
    for (one, first), (other, second) in itertools.product(kinds.items(), repeat=2):
        if {one, other} <= waves.keys():
            assert (waves[one] < waves[other]) == (first < second), (one, other)


@pytest.mark.charts
def test_an_environment_without_platform_is_our_charts_alone(bare: Delivery) -> None:
    made = [f"{each['kind']} {each['metadata']['name']}" for each in bare.root]
    assert made == ["AppProject platform", "AppProject services", "ApplicationSet services"]
    assert [each["metadata"]["name"] for each in bare.applications] == [
        "workflows-sluice-dev",
        "sluice-sluice-dev",
    ]


@pytest.mark.charts
def test_every_part_can_be_turned_on_alone(helm: Helm) -> None:
    for name, part in PARTS.items():
        over = {"repoURL": REPOSITORY, "environment": "dev", "platform": {name: {"enabled": True}}}
        made = helm.template(ROOT, name="root", namespace="argocd", values=[], over=over)
        its = {each["metadata"]["name"]: each for each in made if each["kind"] != "AppProject"}
        assert its.keys() == {name, "services"}
        assert its[name]["kind"] == ("ApplicationSet" if "facts" in part else "Application")


@pytest.mark.charts
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_helm_finds_nothing_bad_about_it(helm: Helm, environment: str) -> None:
    values = [Path(f"argocd/environments/{environment}/root.yaml")]
    assert helm.lint(ROOT, values=values, over={"repoURL": REPOSITORY}) == ""


def test_parts_and_values_name_the_same() -> None:
    assert PARTS.keys() == VALUES["platform"].keys()


def test_every_part_of_charts_has_its_values_and_no_values_are_left_over() -> None:
    files = {file.stem for file in Path("argocd/platform/values").glob("*.yaml")}
    assert files == {name for name, part in PARTS.items() if "chart" in part}


def test_every_environment_says_of_every_part_whether_it_is_on() -> None:
    for environment in ENVIRONMENTS:
        file = Path(f"argocd/environments/{environment}/root.yaml")
        said = yaml.safe_load(file.read_text("utf-8"))
        assert said["environment"] == environment
        assert said["platform"].keys() == PARTS.keys()


@pytest.mark.charts
def test_every_source_is_pinned_and_every_file_of_values_is_there(delivery: Delivery) -> None:
    checked = 0
    for application in delivery.applications:
        for source in sources(application):
            ours = source["repoURL"] == REPOSITORY
            version = source["targetRevision"]
            assert version == "main" if ours else re.fullmatch(r"v?\d+\.\d+\.\d+", version)
            for file in source.get("helm", {}).get("valueFiles", []):
                assert Path(file.removeprefix("$values/").removeprefix("/")).is_file(), file
                checked += 1
    assert checked >= len(delivery.applications) - 1


@pytest.mark.charts
def test_argo_workflows_is_one_release_throughout() -> None:
    """The chart comes with an older one, so the images are pinned; Sluice needs 4.0.7."""
    values = yaml.safe_load(Path("argocd/platform/values/argo-workflows.yaml").read_text("utf-8"))
    tags = {values[part]["image"]["tag"] for part in ("controller", "executor", "server")}
    assert tags == {VALUES["platform"]["argo-workflows-crds"]["version"]}
    [tag] = tags
    assert [int(each) for each in tag.removeprefix("v").split(".")] >= [4, 0, 7]
    assert values["crds"]["install"] is False


@pytest.mark.charts
def test_prod_is_synced_by_itself_only_while_somebody_is_there(delivery: Delivery) -> None:
    windows = delivery.project("services")["spec"].get("syncWindows", [])
    assert [each["kind"] for each in windows] == ["allow"] * (delivery.environment == "prod")
    assert all(each["manualSync"] for each in windows)


REFUSED: dict[str, Json] = {
    "at '/repoURL'": {"repoURL": ""},
    "at '/environment'": {"environment": ""},
    "at '/server'": {"server": "kubernetes"},
    "additional properties 'kafka' not allowed": {"platform": {"kafka": {"enabled": True}}},
    "at '/platform/keda/enabled'": {"platform": {"keda": {"enabled": "yes"}}},
    "at '/platform/keda/version'": {"platform": {"keda": {"version": ">=2.0.0"}}},
    "at '/syncWindows/0/schedule'": {
        "syncWindows": [
            {
                "kind": "allow",
                "schedule": "0 8",
                "duration": "8h",
                "timeZone": "UTC",
                "applications": ["*"],
                "manualSync": True,
            }
        ]
    },
    "missing properties": {"syncWindows": [{"kind": "allow"}]},
    "at '/namespaces/sluice'": {"namespaces": {"sluice": "Sluice"}},
    "at '/access/viewers'": {"access": {"viewers": "team"}},
}


@pytest.mark.charts
@pytest.mark.parametrize("fault", REFUSED)
def test_nonsense_is_refused_where_it_is(helm: Helm, fault: str) -> None:
    over: dict[str, Any] = {"repoURL": REPOSITORY, "environment": "dev"} | REFUSED[fault]
    done = helm.tried(ROOT, name="root", namespace="argocd", values=[], over=over)
    assert done.returncode != 0
    assert fault in done.stderr


def test_every_value_is_described() -> None:
    values = values_of((ROOT / "values.yaml").read_text("utf-8"))
    schema = yaml.safe_load((ROOT / "values.schema.json").read_text("utf-8"))
    assert described_schema(schema, values)
