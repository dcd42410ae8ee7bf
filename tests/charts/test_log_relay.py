"""The log-relay: off by default, and where it is on, no more than it needs."""

from pathlib import Path

import pytest
import yaml

from sluice_log_relay.settings import Settings
from tests.charts.rendering import CHART, COMPONENT, Helm, Json, Rendered

pytestmark = pytest.mark.charts

VALUES = """
logRelay: {enabled: true, secretName: shared}
workflows: {tenants: {acme: {namespace: acme-runs}}}
"""


@pytest.fixture
def with_logs(helm: Helm, tmp_path: Path) -> Rendered:
    file = tmp_path / "values.yaml"
    file.write_text(VALUES, "utf-8")
    return helm.rendered(file)


def names(container: Json) -> set[str]:
    return {each["name"] for each in container["env"]}


def test_without_it_nothing_reads_logs(default: Rendered) -> None:
    assert not [each for each in default.objects if "log-relay" in each["metadata"]["name"]]
    rules = [rule for each in default.of("Role", "ClusterRole") for rule in each["rules"]]
    assert not [rule for rule in rules if "pods/log" in rule["resources"]]
    assert "SLUICE_STEP_LOGS__RELAY_URL" not in names(default.container("gateway"))


def test_it_may_get_pods_and_their_logs_where_runs_are_and_nothing_else(
    with_logs: Rendered,
) -> None:
    roles = [
        each
        for each in with_logs.of("Role", "ClusterRole")
        if each["metadata"]["name"].endswith("-log-relay")
    ]
    assert {each["metadata"]["namespace"] for each in roles} == {"argo", "acme-runs"}
    for role in roles:
        assert role["rules"] == [
            {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get"]}
        ]
    bound = [
        each["roleRef"]["name"]
        for each in with_logs.of("RoleBinding", "ClusterRoleBinding")
        if any(subject["name"] == "sluice-log-relay" for subject in each["subjects"])
    ]
    assert bound == ["sluice-log-relay"] * 2


def test_the_gateway_alone_reaches_it(with_logs: Rendered) -> None:
    policy = with_logs.one("NetworkPolicy", "sluice-log-relay")["spec"]
    [rule] = policy["ingress"]
    [peer] = rule["from"]
    assert peer["podSelector"]["matchLabels"][COMPONENT] == "gateway"
    [rule] = with_logs.one("NetworkPolicy", "sluice-logs")["spec"]["egress"]
    [peer] = rule["to"]
    assert peer["podSelector"]["matchLabels"][COMPONENT] == "log-relay"


def test_both_mount_the_secret_and_it_knows_nothing_of_kafka(with_logs: Rendered) -> None:
    for service in ("gateway", "log-relay"):
        pod = with_logs.workload(service)["spec"]["template"]["spec"]
        [volume] = [each for each in pod["volumes"] if each["name"] == "log-relay"]
        assert volume["secret"]["secretName"] == "shared"
    assert not [each for each in names(with_logs.container("log-relay")) if "KAFKA" in each]


def test_it_accepts_its_variables(with_logs: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in with_logs.container("log-relay")["env"]:
        monkeypatch.setenv(each["name"], each["value"])
    settings = Settings()
    assert settings.kubernetes.namespaces.all == ("argo", "acme-runs")
    [service] = [
        each for each in with_logs.of("Service") if each["metadata"]["name"] == "sluice-log-relay"
    ]
    assert service["spec"]["ports"][0]["port"] == settings.http.port


def test_it_needs_a_secret(helm: Helm, tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("logRelay: {enabled: true}", "utf-8")
    assert "logRelay.secretName" in helm.template(file, CHART).stderr


def test_its_image_is_one_that_pods_may_have(helm: Helm, tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(f"{VALUES}\nimagePolicy: {{enabled: true}}", "utf-8")
    rendered = helm.rendered(file)
    [policy] = [
        each
        for each in rendered.of("ValidatingAdmissionPolicy")
        if each["metadata"]["name"].endswith("-images")
    ]
    [places] = [
        yaml.safe_load(each["expression"])
        for each in policy["spec"]["variables"]
        if each["name"] == "places"
    ]
    assert rendered.container("log-relay")["image"].startswith(tuple(places))
