"""What helm/sluice makes of each file of values is sound, whatever they are."""

from pathlib import Path

import pytest

from tests.charts.rendering import CI_FILES, COMPONENT, NAMESPACE, SERVICES, Helm, Json, Rendered

pytestmark = pytest.mark.charts


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
    services = {
        rendered.workload(service)["metadata"]["name"]
        for service in ("dispatcher", "status-watcher")
    }
    services |= {name for name in tokens if name.endswith("-log-relay")}
    assert has_token - {name for name in tokens if name.endswith("-drain")} == services


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


STRIMZI = {"strimzi.io/kind": "Kafka"}


@pytest.mark.parametrize(
    ("servers", "brokers"),
    [
        ("sluice-kafka-bootstrap:9092", [(NAMESPACE, "sluice")]),
        ("other-kafka-bootstrap.kafka:9093", [("kafka", "other")]),
        ("other-kafka-bootstrap.kafka.svc:9093", [("kafka", "other")]),
        (
            "a-kafka-bootstrap:9093,b-kafka-bootstrap.kafka.svc.cluster.local:9094",
            [(NAMESPACE, "a"), ("kafka", "b")],
        ),
        # Not by Strimzi's names, or not all, or not in this cluster: anywhere.
        ("kafka:9092", None),
        ("10.0.0.9:9092", None),
        ("sluice-kafka-bootstrap:9092,kafka:9092", None),
        ("sluice-kafka-bootstrap.example.com:9092", None),
        ("sluice-kafka-external-bootstrap:9094", None),
    ],
)
def test_a_kafka_of_strimzi_s_is_reached_by_its_pods(
    helm: Helm, tmp_path: Path, servers: str, brokers: list[tuple[str, str]] | None
) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(f"kafka: {{bootstrapServers: '{servers}'}}")
    policy = helm.rendered(values).one("NetworkPolicy", "sluice-kafka")
    [rule] = policy["spec"]["egress"]
    if brokers is None:
        assert "to" not in rule
    else:
        assert rule["to"] == [
            {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "podSelector": {"matchLabels": {"strimzi.io/cluster": cluster} | STRIMZI},
            }
            for namespace, cluster in brokers
        ]


def test_the_configured_address_of_kafka_is_the_only_one_open(helm: Helm, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("networkPolicy: {kafkaTo: [{ipBlock: {cidr: 10.0.0.0/16}}]}")
    policy = helm.rendered(values).one("NetworkPolicy", "sluice-kafka")
    [rule] = policy["spec"]["egress"]
    assert rule["to"] == [{"ipBlock": {"cidr": "10.0.0.0/16"}}]


def test_no_policy_lets_pods_reach_the_metadata_service(rendered: Rendered) -> None:
    """It answers on port 80, which no rule has but that for the agent of EKS Pod Identity."""
    for policy in rendered.of("NetworkPolicy"):
        for rule in policy["spec"].get("egress", []):
            if 80 in [port["port"] for port in rule["ports"]]:
                assert rule["to"] == [{"ipBlock": {"cidr": "169.254.170.23/32"}}]


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
    assert budgets["default-values.yaml"] == set(SERVICES)
    assert budgets["autoscaling-values.yaml"] == set(SERVICES)
    assert budgets["everything-values.yaml"] == set(SERVICES)
