"""What is called one thing here is called so where it comes from: in the charts and in argocd/."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice_infra import database, places, versions
from sluice_infra.places import Account, Annotations, DatabaseAnnotations
from sluice_infra.registry import REPOSITORIES
from tests.pulumi.engine.engine import PROJECT

ROOT = PROJECT.parent
ARGO_CD = ROOT / "argocd"


def _values(chart: str = "sluice") -> Any:
    return yaml.safe_load((ROOT / f"helm/{chart}/values.yaml").read_text("utf-8"))


def _root_values() -> Any:
    return yaml.safe_load((ARGO_CD / "root/values.yaml").read_text("utf-8"))


@pytest.fixture(scope="module")
def accounts(helm: Path) -> set[Account]:
    """The ServiceAccounts of the chart, installed as Argo CD does."""
    options = ["--namespace", places.SLUICE, "--set", f"workflows.namespace={places.WORKFLOWS}"]
    options += ["--set", "gateway.auth.mode=none"]
    rendered = subprocess.run(
        [helm, "template", places.SLUICE, ROOT / "helm/sluice", *options],
        capture_output=True,
        text=True,
        check=True,
    )
    return {
        Account(namespace=each["metadata"]["namespace"], name=each["metadata"]["name"])
        for each in yaml.safe_load_all(rendered.stdout)
        if each and each["kind"] == "ServiceAccount"
    }


def test_accounts_are_those_of_the_chart(accounts: set[Account]) -> None:
    services = {places.account_of(service) for service in places.SERVICES}
    assert services | {places.EXECUTOR} <= accounts


def test_images_are_those_of_the_chart() -> None:
    values = _values()
    services = ("gateway", "dispatcher", "statusWatcher", "logRelay")
    assert set(REPOSITORIES) == {values[each]["image"]["repository"] for each in services}


def test_topics_and_group_are_those_of_the_chart() -> None:
    values = _values()
    assert set(places.TOPICS) == set(values["kafka"]["topics"].values())
    assert _values("kafka")["topics"]["audit"]["name"] == places.AUDIT
    assert values["dispatcher"]["consumerGroup"] == places.CONSUMER_GROUP
    assert values["store"]["consumerGroup"] == places.GATEWAY_GROUP


def test_the_database_and_its_user_are_those_of_the_chart() -> None:
    postgres = _values()["store"]["postgres"]
    assert postgres["database"] == places.DATABASE
    assert postgres["username"] == places.DATABASE_USER
    assert postgres["port"] == database.PORT
    assert postgres["tls"] == "verify-full"


def test_namespaces_are_those_of_argo_cd_s_root() -> None:
    namespaces = _root_values()["namespaces"]
    assert namespaces["sluice"] == places.SLUICE
    assert namespaces["workflows"] == places.WORKFLOWS
    parts = yaml.safe_load((ARGO_CD / "root/files/parts.yaml").read_text("utf-8"))
    for name, account in {
        "argo-workflows": places.ARGO_SERVER,
        "external-dns": places.EXTERNAL_DNS,
        "external-secrets": places.EXTERNAL_SECRETS,
        "keda": places.KEDA,
    }.items():
        assert parts[name]["namespace"] == account.namespace


def test_every_annotation_that_is_read_is_written() -> None:
    files = [*ARGO_CD.glob("root/**/*.yaml"), *ARGO_CD.glob("root/**/*.tpl")]
    text = "\n".join(file.read_text("utf-8") for file in files)
    read = set(re.findall(r"index \$fact \"(sluice\.dev/[a-z-]+)\"", text))
    parts = yaml.safe_load((ARGO_CD / "root/files/parts.yaml").read_text("utf-8"))
    read |= {fact for part in parts.values() for fact in part.get("facts", {}).values()}
    written = {
        name
        for annotations in (Annotations, DatabaseAnnotations)
        for key, name in vars(annotations).items()
        if key.isupper()
    }
    assert len(read) > 5
    assert read <= written


def test_annotations_are_spelled_in_one_place() -> None:
    for module in PROJECT.glob("sluice_infra/*.py"):
        if module.name != "places.py":
            assert "sluice.dev/" not in module.read_text("utf-8"), module.name


def test_versions_are_written_in_one_place() -> None:
    pinned = [versions.KUBERNETES, versions.KAFKA, versions.ARGO_CD_CHART]
    files = [*PROJECT.glob("sluice_infra/*.py"), *PROJECT.glob("Pulumi*.yaml")]
    for file in files:
        if file.name != "versions.py":
            assert not [version for version in pinned if version in file.read_text("utf-8")]


def test_argo_cd_s_values_are_for_the_version_that_is_installed() -> None:
    first, *_ = (ARGO_CD / "argo-cd.yaml").read_text("utf-8").splitlines()
    assert f"argo-cd {versions.ARGO_CD_CHART} " in first


def test_the_stacks_environments_are_those_of_argo_cd() -> None:
    environments = {folder.name for folder in (ARGO_CD / "environments").iterdir()}
    assert environments == {"dev", "staging", "prod"}
    for environment in environments:
        values = yaml.safe_load(
            (ARGO_CD / "environments" / environment / "root.yaml").read_text("utf-8")
        )
        assert values["environment"] == environment
