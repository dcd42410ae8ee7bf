"""Tenants with namespaces of their own: what each namespace gets, and what stays forbidden."""

import json
import re
import textwrap
from pathlib import Path

import pytest

from sluice_dispatcher.settings import DispatcherSettings
from sluice_runtime.kubernetes.namespaces import Namespaces
from sluice_runtime.kubernetes.settings import KubernetesSettings
from tests.charts.rendering import CHART, WORKFLOWS, Helm, Json, Rendered
from tests.unit.docs.pages import ROOT

pytestmark = pytest.mark.charts

PLACES = {"runs", "acme-runs", "globex-runs"}


BLOCKS = [
    textwrap.dedent(block)
    for block in re.findall(
        r"^   ```yaml\n(.*?)^   ```$",
        (ROOT / "docs/namespaces.md").read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
]


def settings_of(container: Json) -> Namespaces:
    """Return the namespaces that a container has in its settings."""
    given = {each["name"]: each.get("value", "") for each in container["env"]}
    kubernetes = {
        "namespace": given["SLUICE_KUBERNETES__NAMESPACE"],
        "tenants": json.loads(given["SLUICE_KUBERNETES__TENANTS"]),
    }
    return DispatcherSettings(
        kubernetes=KubernetesSettings.model_validate(kubernetes)
    ).kubernetes.namespaces


def test_all_that_use_the_api_server_know_the_same_places(everything: Rendered) -> None:
    [drain] = [each for each in everything.of("Job") if each["metadata"]["name"].endswith("-drain")]
    [drains] = drain["spec"]["template"]["spec"]["containers"]
    containers = [everything.container(each) for each in ("dispatcher", "status-watcher")]
    for container in (*containers, drains):
        namespaces = settings_of(container)
        assert set(namespaces.all) == PLACES
        assert namespaces.places("acme") == ("acme-runs", "runs")
        assert namespaces.places("globex") == ("globex-runs",)
        assert namespaces.places("others") == ("runs",)
    gateway = {each["name"] for each in everything.container("gateway")["env"]}
    assert not any(name.startswith("SLUICE_KUBERNETES") for name in gateway)


def test_each_place_gets_the_same_rights(everything: Rendered) -> None:
    def granted(namespace: str) -> list[Json]:
        objects = everything.of("Role", "RoleBinding", "ServiceAccount", "Secret")
        found = [each for each in objects if each["metadata"]["namespace"] == namespace]
        slots = [each for each in found if each["metadata"]["name"].endswith("-slots")]
        # Slots of all tenants are in the default namespace.
        assert len(slots) == (2 if namespace == "runs" else 0)
        return [moved(each, namespace) for each in found if each not in slots]

    def moved(each: Json, namespace: str) -> Json:
        """Return an object as it would be in a namespace of one name."""
        subjects = [
            subject | {"namespace": "here"} if subject["namespace"] == namespace else subject
            for subject in each.get("subjects", ())
        ]
        metadata = each["metadata"] | {"namespace": "here"}
        return each | {"metadata": metadata, "subjects": subjects}

    assert granted("acme-runs") == granted("globex-runs") == granted("runs")
    assert len(granted("runs")) == 10


def test_tenants_need_no_right_in_the_whole_cluster(everything: Rendered) -> None:
    [role] = everything.of("ClusterRole")
    assert role["metadata"]["name"].endswith("-status-watcher-release")
    assert role["rules"] == [
        {"apiGroups": ["argoproj.io"], "resources": ["workflows"], "verbs": ["patch"]}
    ]


def test_the_policies_keep_each_tenant_in_its_places(everything: Rendered) -> None:
    policies = {
        each["metadata"]["name"].rpartition("runs-")[2]: each["spec"]
        for each in everything.of("ValidatingAdmissionPolicy")
    }
    [places] = [
        each["expression"]
        for each in policies["dispatcher"]["variables"]
        if each["name"] == "places"
    ]
    assert places == (
        "{'acme': ['acme-runs','runs'], 'globex': ['globex-runs']}"
        "[?variables.labels[?'sluice.dev/tenant'].orValue('')].orValue(['runs'])"
    )
    [home] = [
        each["expression"]
        for each in policies["status-watcher"]["variables"]
        if each["name"] == "home"
    ]
    assert home == "request.namespace in ['runs','acme-runs','globex-runs']"
    [selected] = policies["images"]["matchConstraints"]["namespaceSelector"]["matchExpressions"]
    assert set(selected["values"]) == {"sluice", *PLACES}


def of_page(number: int, chart: Path, helm: Helm, folder: Path) -> Rendered:
    """Render a chart with the values that the page shows there."""
    file = folder / f"{number}.yaml"
    needed = "" if chart == WORKFLOWS else "kafka: {bootstrapServers: kafka:9092}\n"
    file.write_text(f"{needed}{BLOCKS[number]}", encoding="utf-8")
    return helm.rendered(file, chart)


def test_a_tenant_can_have_a_quota_and_a_bucket_of_its_own(helm: Helm, tmp_path: Path) -> None:
    """By the release of helm/workflows that the page shows."""
    rendered = of_page(0, WORKFLOWS, helm, tmp_path)
    assert rendered.one_in("ResourceQuota", "acme-runs")["spec"]["hard"]["pods"] == "50"
    assert "acme-artifacts" in rendered.one_in("ConfigMap", "acme-runs")["data"]["s3"]
    assert {each["metadata"].get("namespace", "acme-runs") for each in rendered.objects} == {
        "acme-runs"
    }
    standard = rendered.one("Namespace", "acme-runs")["metadata"]["labels"]
    assert standard["pod-security.kubernetes.io/enforce"] == "restricted"
    assert rendered.of("LimitRange")
    assert len(rendered.of("NetworkPolicy")) == 5


@pytest.mark.parametrize(
    ("block", "places"), [(1, ("acme-runs",)), (2, ("acme-runs", "argo"))], ids=["new", "moved"]
)
def test_the_steps_of_the_page_give_a_tenant_its_namespace(
    helm: Helm, tmp_path: Path, block: int, places: tuple[str, ...]
) -> None:
    rendered = of_page(block, CHART, helm, tmp_path)
    made = of_page(0, WORKFLOWS, helm, tmp_path)
    for service in ("dispatcher", "status-watcher"):
        assert settings_of(rendered.container(service)).places("acme") == places
    names = [
        (each["kind"], each["metadata"]["name"], each["metadata"].get("namespace"))
        for each in (*rendered.objects, *made.objects)
    ]
    # Two releases that want one object refuse each other.
    assert len(names) == len(set(names))
    in_acme = {name for _, name, namespace in names if namespace == "acme-runs"}
    assert {"sluice-executor", "sluice-dispatcher", "sluice-status-watcher"} <= in_acme


def test_the_notes_say_where_the_runs_of_a_tenant_are(helm: Helm) -> None:
    notes = helm.notes(CHART / "ci/everything-values.yaml")
    assert "Those of the tenant acme are in acme-runs, and until it has moved in runs too." in notes
    assert "Those of the tenant globex are in globex-runs." in notes
