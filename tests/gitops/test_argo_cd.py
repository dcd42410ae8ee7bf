"""Argo CD's own settings: argocd/argo-cd.yaml, values of its chart."""

import re
from pathlib import Path
from typing import Any

import yaml

VALUES = Path("argocd/argo-cd.yaml")


def values() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(VALUES.read_text("utf-8"))
    return found


def configs(name: str) -> dict[str, Any]:
    found: dict[str, Any] = values()["configs"][name]
    return found


def rules(kind: str) -> list[list[str]]:
    lines = configs("rbac")["policy.csv"].splitlines()
    parts = [[part.strip() for part in line.split(",")] for line in lines if line]
    assert {line[0] for line in parts} == {"p", "g"}
    return [line[1:] for line in parts if line[0] == kind]


def test_a_config_map_has_nothing_but_texts_and_switches() -> None:
    for name in ("cm", "params", "rbac"):
        for key, value in configs(name).items():
            assert isinstance(value, str | bool), key


def test_workflows_are_none_of_its_business() -> None:
    excluded = {
        (group, kind)
        for each in yaml.safe_load(configs("cm")["resource.exclusions"])
        for group in each["apiGroups"]
        for kind in each["kinds"]
    }
    assert {("argoproj.io", "Workflow"), ("argoproj.io", "WorkflowTaskResult")} <= excluded
    # Of what the chart excludes by itself, what costs most.
    assert {("", "Endpoints"), ("discovery.k8s.io", "EndpointSlice")} <= excluded
    assert ("coordination.k8s.io", "Lease") in excluded
    assert not {("argoproj.io", kind) for kind in ("Application", "WorkflowTemplate")} & excluded


def test_health_checks_are_only_for_kinds_without_one_in_argo_cd() -> None:
    """As it has for Kafka, KafkaTopic, KafkaUser and ScaledObject (resource_customizations/)."""
    prefix = "resource.customizations.health."
    lua = {key.removeprefix(prefix): text for key, text in configs("cm").items() if prefix in key}
    assert lua.keys() == {"argoproj.io_Application", "kafka.strimzi.io_KafkaNodePool"}
    for text in lua.values():
        assert text.rstrip().endswith("return hs")


def test_a_sync_may_take_longer_than_its_smoke_test() -> None:
    limit = int(configs("params")["controller.sync.timeout.seconds"])
    chart = yaml.safe_load(Path("helm/sluice/values.yaml").read_text("utf-8"))
    # The Job lives a minute longer than the test.
    assert limit >= 2 * (chart["smokeTest"]["timeoutSeconds"] + 60)


def test_unnamed_users_see_nothing_and_only_admins_touch_root() -> None:
    assert configs("rbac")["policy.default"] == ""
    for subject, resource, action, thing, effect in rules("p"):
        assert subject == "role:operator"
        assert effect == "allow"
        if action != "get" and not action.startswith("action/"):
            assert resource == "applications"
            assert thing in ("platform/*", "services/*")
        assert action not in ("*", "delete", "create", "update", "override", "exec")
    granted = {role for _, role in rules("g")}
    assert granted == {"role:admin", "role:operator"}


def test_every_notification_has_its_words() -> None:
    notifications = values()["notifications"]
    templates = {name.removeprefix("template.") for name in notifications["templates"]}
    triggers = {
        name.removeprefix("trigger."): yaml.safe_load(text)
        for name, text in notifications["triggers"].items()
    }
    assert triggers.keys() == {"on-deployed", "on-health-degraded", "on-sync-failed"}
    for [trigger] in triggers.values():
        assert set(trigger["send"]) <= templates
    for each in notifications["subscriptions"]:
        assert set(each["triggers"]) <= triggers.keys()
        for recipient in each["recipients"]:
            assert f"service.{recipient.partition(':')[0]}" in notifications["notifiers"]


def test_no_secret_is_in_git() -> None:
    text = VALUES.read_text("utf-8")
    assert values()["notifications"]["secret"] == {"create": False}
    assert not re.search(r"(?i)(password|token|secret)\w*: *['\"]?[A-Za-z0-9+/]{12,}", text)


def test_the_chart_is_that_which_pulumi_installs() -> None:
    text = VALUES.read_text("utf-8")
    [version] = set(re.findall(r"(?:chart argo-cd|--version) (\d+\.\d+\.\d+)", text))
    versions = Path("pulumi/sluice_infra/versions.py").read_text("utf-8")
    assert f'ARGO_CD_CHART = "{version}"' in versions


def test_the_image_is_of_the_charts_line_and_has_the_fixes_of_vulnerabilities() -> None:
    """GitHub's advisories of argoproj/argo-cd, November 2026."""
    [of_chart] = re.findall(r"Argo CD (\d+\.\d+)\.\d+", VALUES.read_text("utf-8"))
    image = values()["global"]["image"]["tag"]
    assert image.startswith(f"v{of_chart}.")
    assert [int(each) for each in image.removeprefix("v").split(".")] >= [3, 4, 15]
