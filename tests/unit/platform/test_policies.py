"""The evaluator of NetworkPolicies keeps to the rules of networking.k8s.io/v1."""

from typing import Any

import pytest

from tests.platform.policies import Network, Peer, Policy, selects

SPACES = {"a": {"name": "a", "team": "x"}, "b": {"name": "b"}}
CLIENT = Peer(address="10.0.0.1", namespace="a", labels={"app": "client"})
SERVER = Peer(address="10.0.0.2", namespace="b", labels={"app": "server"}, ports={"http": 8080})
OUTSIDE = Peer(address="203.0.113.9")


def policy(namespace: str, **spec: Any) -> Policy:
    return {"metadata": {"namespace": namespace}, "spec": {"podSelector": {}, **spec}}


def allows(*policies: Policy, source: Peer = CLIENT, target: Peer = SERVER, **how: Any) -> bool:
    return Network(list(policies), SPACES).allows(source, target, how.pop("port", 8080), **how)


def into(*peers: Any, ports: list[Any] | None = None) -> Policy:
    """Return a policy of the server that lets these in."""
    rule = ({"from": list(peers)} if peers else {}) | ({"ports": ports} if ports else {})
    return policy("b", policyTypes=["Ingress"], ingress=[rule])


DENY = policy("b", policyTypes=["Ingress"])


def test_without_a_policy_everything_is_open() -> None:
    assert allows()
    assert allows(policy("elsewhere", policyTypes=["Ingress", "Egress"]))
    assert allows(policy("b", podSelector={"matchLabels": {"app": "other"}}))


def test_a_policy_without_rules_closes_its_direction_alone() -> None:
    assert not allows(DENY)
    assert allows(DENY, source=SERVER, target=CLIENT)
    assert not allows(policy("a", policyTypes=["Egress"]))
    assert allows(policy("a", policyTypes=["Egress"]), source=SERVER, target=CLIENT)


def test_types_that_are_not_said_follow_from_the_rules() -> None:
    assert not allows(policy("b"))
    assert allows(policy("a"), target=SERVER)
    assert not allows(policy("a", egress=[{"ports": [{"port": 1}]}]))


def test_policies_add_up() -> None:
    assert allows(DENY, into({"namespaceSelector": {}}))
    assert not allows(
        into({"podSelector": {}}), into({"namespaceSelector": {}}, ports=[{"port": 1}])
    )


def test_both_ends_must_agree() -> None:
    out = policy("a", policyTypes=["Egress"], egress=[{}])
    assert allows(out, into({"namespaceSelector": {}}))
    assert not allows(out, DENY)


@pytest.mark.parametrize(
    ("peer", "open_"),
    [
        # A pod selector alone means the policy's own namespace.
        ({"podSelector": {}}, False),
        ({"podSelector": {"matchLabels": {"app": "client"}}}, False),
        ({"namespaceSelector": {}}, True),
        ({"namespaceSelector": {"matchLabels": {"team": "x"}}}, True),
        ({"namespaceSelector": {"matchLabels": {"team": "y"}}}, False),
        ({"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "client"}}}, True),
        ({"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "other"}}}, False),
        ({"ipBlock": {"cidr": "10.0.0.0/16"}}, True),
        ({"ipBlock": {"cidr": "10.0.0.0/16", "except": ["10.0.0.0/30"]}}, False),
    ],
)
def test_peers(peer: Any, open_: bool) -> None:
    assert allows(into(peer)) == open_


def test_an_address_outside_is_in_no_namespace() -> None:
    assert not allows(into({"namespaceSelector": {}}), source=OUTSIDE)
    assert not allows(into({"podSelector": {}}), source=OUTSIDE)
    assert allows(into({"ipBlock": {"cidr": "203.0.113.0/24"}}), source=OUTSIDE)
    assert allows(into(), source=OUTSIDE)


@pytest.mark.parametrize(
    ("ports", "open_"),
    [
        ([{"port": 8080}], True),
        ([{"port": "http"}], True),
        ([{"port": "health"}], False),
        ([{"port": 8081}], False),
        ([{"port": 8000, "endPort": 8100}], True),
        ([{"port": 8000, "endPort": 8079}], False),
        ([{"protocol": "TCP"}], True),
        ([{"port": 8080, "protocol": "UDP"}], False),
        ([{"port": 1}, {"port": 8080}], True),
    ],
)
def test_ports(ports: list[Any], open_: bool) -> None:
    assert allows(into({"namespaceSelector": {}}, ports=ports)) == open_
    # Out of a pod, a name is one of the pod that it goes to.
    assert allows(policy("a", policyTypes=["Egress"], egress=[{"ports": ports}])) == open_


def test_a_protocol_counts() -> None:
    dns = policy("a", policyTypes=["Egress"], egress=[{"ports": [{"port": 53, "protocol": "UDP"}]}])
    assert allows(dns, port=53, protocol="UDP")
    assert not allows(dns, port=53)


@pytest.mark.parametrize(
    ("operator", "values", "chosen"),
    [
        ("In", ["client", "x"], True),
        ("In", ["x"], False),
        ("NotIn", ["x"], True),
        ("NotIn", ["client"], False),
        ("Exists", [], True),
        ("DoesNotExist", [], False),
    ],
)
def test_expressions(operator: str, values: list[str], chosen: bool) -> None:
    expression = {"key": "app", "operator": operator, "values": values}
    assert selects({"matchExpressions": [expression]}, CLIENT.labels) == chosen


def test_an_unknown_operator_is_refused() -> None:
    with pytest.raises(ValueError, match="Near"):
        selects({"matchExpressions": [{"key": "app", "operator": "Near"}]}, CLIENT.labels)
