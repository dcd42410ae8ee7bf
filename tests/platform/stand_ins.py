"""Stand-ins for what no chart has: pods that operators make, and Strimzi's NetworkPolicies.

Their labels and rules are those of Strimzi 1.2.0 (KafkaCluster.generateNetworkPolicy, Labels), of
Argo Workflows 4.0 and of Prometheus' operator 0.93.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.platform.objects import Json
from tests.platform.policies import Policy

_REPLICATION, _CONTROL_PLANE, _AGENT, _METRICS = 9091, 9090, 8443, 9404
OPERATOR: Mapping[str, str] = {"strimzi.io/kind": "cluster-operator"}
STEP: Mapping[str, str] = {
    "workflows.argoproj.io/workflow": "run-aaaa",
    "workflows.argoproj.io/completed": "false",
}
PROMETHEUS: Mapping[str, str] = {"app.kubernetes.io/name": "prometheus"}
DNS: Mapping[str, str] = {"k8s-app": "kube-dns"}


def broker_labels(pool: Json) -> dict[str, str]:
    """Return the labels of a KafkaNodePool's pods."""
    return {
        **kafka_labels(pool["metadata"]["labels"]["strimzi.io/cluster"]),
        "strimzi.io/pool-name": pool["metadata"]["name"],
        "strimzi.io/broker-role": str("broker" in pool["spec"]["roles"]).lower(),
    }


def kafka_labels(cluster: str) -> dict[str, str]:
    """Return the labels by which Strimzi selects all pods of a Kafka."""
    return _selector(cluster, name="kafka")


def entity_operator_labels(kafka: Json) -> dict[str, str]:
    """Return the labels of the pod that looks after a Kafka's topics and users."""
    return _selector(kafka["metadata"]["name"], name="entity-operator")


def _selector(cluster: str, *, name: str) -> dict[str, str]:
    return {
        "strimzi.io/cluster": cluster,
        "strimzi.io/kind": "Kafka",
        "strimzi.io/name": f"{cluster}-{name}",
    }


def kafka_policies(objects: Iterable[Json]) -> Iterator[Policy]:
    """Yield the NetworkPolicy that Strimzi makes for the pods of each Kafka."""
    for kafka in (each for each in objects if each["kind"] == "Kafka"):
        name, spec = kafka["metadata"]["name"], kafka["spec"]["kafka"]
        operator = {"podSelector": {"matchLabels": dict(OPERATOR)}, "namespaceSelector": {}}
        brokers = {"podSelector": {"matchLabels": kafka_labels(name)}}
        entity = {"podSelector": {"matchLabels": {"strimzi.io/name": f"{name}-entity-operator"}}}
        rules = [
            _rule(_CONTROL_PLANE, [brokers, operator]),
            _rule(_REPLICATION, [operator, brokers, entity]),
            _rule(_AGENT, [operator]),
            *(_rule(each["port"], each.get("networkPolicyPeers")) for each in spec["listeners"]),
            *([_rule(_METRICS, None)] if "metricsConfig" in spec else []),
        ]
        yield {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {
                "name": f"{name}-network-policy-kafka",
                "namespace": kafka["metadata"]["namespace"],
            },
            "spec": {
                "podSelector": {"matchLabels": kafka_labels(name)},
                "ingress": rules,
            },
        }


def _rule(port: int, peers: list[Any] | None) -> dict[str, Any]:
    rule: dict[str, Any] = {"ports": [{"port": port, "protocol": "TCP"}]}
    return rule | ({"from": peers} if peers else {})
