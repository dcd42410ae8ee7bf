"""What the chart makes of each file of values is sound, whatever they are."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts.rendering import CHART, CI_FILES, COMPONENT, SERVICES, Helm, Json, Rendered

pytestmark = pytest.mark.charts

CLUSTERS = {
    "ClusterRole",
    "ClusterRoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}
MORE_THAN_SLUICE = {"ConfigMap/more"}


def test_lint_has_nothing_to_say(helm: Helm, values: Path) -> None:
    done = helm.run("lint", "--strict", str(CHART), "--values", str(values))
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_two_objects_have_one_name(rendered: Rendered) -> None:
    names = Counter(
        (
            each["apiVersion"],
            each["kind"],
            each["metadata"].get("namespace"),
            each["metadata"]["name"],
        )
        for each in rendered.objects
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_every_object_says_where_it_belongs(rendered: Rendered) -> None:
    for each in rendered.objects:
        name = f"{each['kind']}/{each['metadata']['name']}"
        if name in MORE_THAN_SLUICE:
            continue
        assert ("namespace" in each["metadata"]) != (each["kind"] in CLUSTERS), name
        assert each["metadata"]["labels"]["app.kubernetes.io/part-of"] == "sluice", name


def test_every_pod_is_restricted(rendered: Rendered) -> None:
    """As https://kubernetes.io/docs/concepts/security/pod-security-standards has it, and more."""
    for name, pod in rendered.pods():
        spec = pod["spec"]
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] == security["runAsGroup"] == 65532, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & spec.keys(), name
        assert all("hostPath" not in volume for volume in spec.get("volumes", [])), name
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name


def test_every_container_asks_for_cpu_and_is_bounded_in_memory(rendered: Rendered) -> None:
    for name, pod in rendered.pods():
        for container in pod["spec"]["containers"]:
            resources = container["resources"]
            assert {"cpu", "memory"} <= resources["requests"].keys(), name
            assert "memory" in resources["limits"], name
            assert "cpu" not in resources["limits"], name


def test_only_who_uses_the_api_gets_a_token(rendered: Rendered) -> None:
    tokens = {name: pod["spec"]["automountServiceAccountToken"] for name, pod in rendered.pods()}
    has_token = {name for name, token in tokens.items() if token}
    assert has_token == {
        rendered.workload(service)["metadata"]["name"]
        for service in ("dispatcher", "status-watcher")
    }


def test_a_pod_has_time_for_its_grace(rendered: Rendered) -> None:
    for service in SERVICES:
        spec = rendered.workload(service)["spec"]["template"]["spec"]
        [container] = spec["containers"]
        grace = int(environment(container)["SLUICE_SHUTDOWN_GRACE"].removesuffix("s"))
        sleep = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        # The services need 3 s more than their grace, to close what is open.
        assert spec["terminationGracePeriodSeconds"] >= grace + sleep + 5


def test_nothing_scaled_says_how_many(rendered: Rendered) -> None:
    """Else each sync would undo what the autoscaler did."""
    scaled = {
        (each["spec"]["scaleTargetRef"]["kind"], each["spec"]["scaleTargetRef"]["name"])
        for each in rendered.of("HorizontalPodAutoscaler", "ScaledObject")
    }
    for service in SERVICES:
        workload = rendered.workload(service)
        is_scaled = (workload["kind"], workload["metadata"]["name"]) in scaled
        assert ("replicas" in workload["spec"]) != is_scaled, service
        scaled.discard((workload["kind"], workload["metadata"]["name"]))
    assert scaled == set(), "they scale what is not there"


def test_selectors_find_pods_of_one_service_each(rendered: Rendered) -> None:
    pods = {name: pod["metadata"]["labels"] for name, pod in rendered.pods()}
    for each in rendered.of("Service", "Deployment", "StatefulSet", "PodDisruptionBudget"):
        selector = each["spec"]["selector"].get("matchLabels", each["spec"]["selector"])
        found = [name for name, labels in pods.items() if selector.items() <= labels.items()]
        assert len(found) == 1, each["metadata"]["name"]


def test_every_volume_is_mounted_and_every_mount_has_one(rendered: Rendered) -> None:
    for service in SERVICES:
        spec = rendered.workload(service)["spec"]
        pod = spec["template"]["spec"]
        volumes = {volume["name"] for volume in pod.get("volumes", [])} | {
            claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", [])
        }
        mounted = {mount["name"] for mount in pod["containers"][0].get("volumeMounts", [])}
        assert mounted == volumes, service


def test_policies_let_in_what_needs_to_get_in(rendered: Rendered) -> None:
    policies = rendered.of("NetworkPolicy")
    if not policies:
        return
    ports = {port["name"] for _, pod in rendered.pods() for port in opened(pod)}
    for policy in policies:
        rules = [*policy["spec"].get("ingress", []), *policy["spec"].get("egress", [])]
        named = {port["port"] for rule in rules for port in rule["ports"]}
        assert {port for port in named if isinstance(port, str)} <= ports
        assert all(rule["ports"] for rule in rules)
    denying = policies[0]["spec"] if "deny" in policies[0]["metadata"]["name"] else {}
    assert set(denying["policyTypes"]) == {"Ingress", "Egress"}
    assert "ingress" not in denying
    assert "egress" not in denying
    for name, pod in rendered.pods():
        selector = denying["podSelector"]["matchLabels"]
        assert selector.items() <= pod["metadata"]["labels"].items(), name


def test_kafka_is_reached_on_the_ports_of_its_brokers(helm: Helm, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("kafka: {bootstrapServers: 'kafka-1:9092,kafka-2:9093,kafka-3:9092'}")
    policy = helm.rendered(values).one("NetworkPolicy", "sluice-kafka")
    [rule] = policy["spec"]["egress"]
    assert [port["port"] for port in rule["ports"]] == [9092, 9093]


def opened(pod: Json) -> list[Json]:
    return [port for each in pod["spec"]["containers"] for port in each.get("ports", [])]


def environment(container: Json) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in container["env"]}


def test_one_pod_has_no_budget(helm: Helm) -> None:
    """It would keep its node from being drained, or mean nothing."""
    budgets = {
        file.name: {
            each["metadata"]["labels"][COMPONENT]
            for each in helm.rendered(file).of("PodDisruptionBudget")
        }
        for file in CI_FILES
    }
    assert budgets["minimal-values.yaml"] == set()
    assert budgets["default-values.yaml"] == {"gateway", "dispatcher"}
    assert budgets["autoscaling-values.yaml"] == {"gateway", "dispatcher"}
    assert budgets["everything-values.yaml"] == set(SERVICES)


def test_every_template_makes_something(helm: Helm) -> None:
    """The files of values between them turn everything on."""
    kinds = {each["kind"] for file in CI_FILES for each in helm.rendered(file).objects}
    declared: set[str] = set()
    for template in CHART.glob("templates/**/*.*"):
        lines = template.read_text(encoding="utf-8").splitlines()
        declared |= {line.removeprefix("kind: ") for line in lines if line.startswith("kind: ")}
    literal = {kind for kind in declared if "{{" not in kind}
    computed = {
        "Deployment",
        "StatefulSet",
        "Role",
        "RoleBinding",
        "ClusterRole",
        "ClusterRoleBinding",
    }
    assert len(literal) > 12
    assert kinds == literal | computed


def test_every_value_is_set_by_some_file() -> None:
    chart = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    given = set()
    for file in CI_FILES:
        given |= set(leaves(yaml.safe_load(file.read_text(encoding="utf-8")) or {}))
    sections = ("gateway", "dispatcher", "statusWatcher", "defaults")
    unset = [
        path
        for path in leaves(chart)
        if not any(one[: len(path)] == path for one in given)
        # What services have in common goes through the same lines for each.
        and not any(
            (section, *path[1:]) == one[: len(path)]
            for one in given
            for section in sections
            if path[0] in sections
        )
    ]
    assert unset == []


def leaves(values: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(values, dict) or not values:
        return [path]
    return [leaf for name, value in values.items() for leaf in leaves(value, (*path, name))]


def test_names_that_look_like_numbers_stay_names(helm: Helm, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(
        """
        workflows: {namespace: "99001", executor: {name: "99002"}}
        kafka:
          securityProtocol: SASL_SSL
          sasl: {existingSecret: "99003", usernameKey: "99004", passwordKey: "99005"}
          tls: {caSecret: "99006", caKey: "99007"}
        defaults: {priorityClassName: "99008", serviceAccount: {name: "99009"}}
        gateway: {persistence: {enabled: true, storageClassName: "99010"}}
        dispatcher: {keda: {enabled: true, authenticationRef: "99011"}}
        """,
        encoding="utf-8",
    )
    found = set(scalars(helm.rendered(values).objects))
    given = range(99001, 99012)
    assert {str(number) for number in given} <= found
    assert found.isdisjoint(given)


def scalars(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for below in value.values() if isinstance(value, dict) else value:
            yield from scalars(below)
    else:
        yield value
