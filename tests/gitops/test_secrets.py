"""The store of secrets: where it is, and which namespaces may use it."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.charts.kubeconform import Kubeconform
from tests.gitops.rendering import Delivery, Helm, Json

PART = "external-secrets-sluice-dev"

_CHART = """\
{{- range .Values.extraObjects }}
---
{{ toYaml . }}
{{- end }}
"""
"""What the chart of the operator does with them (templates/extra-manifests.yaml)."""


@pytest.fixture
def store(helm: Helm, delivery: Delivery, tmp_path: Path) -> Json:
    """The store, as Helm makes it of our values and of what Argo CD sets."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: extra, version: 0.0.1}")
    (tmp_path / "templates/extra.yaml").write_text(_CHART)
    settings = delivery.application(PART)["spec"]["sources"][0]["helm"]
    [values] = settings["valueFiles"]
    given = [f"--set={each['name']}={each['value']}" for each in settings["parameters"]]
    done = subprocess.run(
        [
            *(helm.program, "template", settings["releaseName"], tmp_path),
            *(f"--values={values.removeprefix('$values/')}", *given),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    [made] = [each for each in yaml.safe_load_all(done.stdout) if each]
    store: Json = made
    return store


@pytest.mark.charts
def test_the_store_is_in_the_region_of_the_cluster(store: Json) -> None:
    assert store["kind"] == "ClusterSecretStore"
    assert store["metadata"]["name"] == "aws"
    assert store["spec"]["provider"] == {
        "aws": {"service": "SecretsManager", "region": "eu-central-1"}
    }


@pytest.mark.charts
def test_workflows_cannot_use_the_store(store: Json) -> None:
    [condition] = store["spec"]["conditions"]
    assert condition == {"namespaces": ["argocd", "monitoring", "sluice"]}


@pytest.mark.charts
def test_the_store_is_valid_and_waits_for_its_kind(kubeconform: Kubeconform, store: Json) -> None:
    assert kubeconform.complaints([store]) == {"ClusterSecretStore/aws": ""}
    annotations = store["metadata"]["annotations"]
    assert annotations["argocd.argoproj.io/sync-wave"] == "1"
    assert "SkipDryRunOnMissingResource=true" in annotations["argocd.argoproj.io/sync-options"]
