"""What NetworkPolicies let through, by the rules of networking.k8s.io/v1.

Pure: it knows pods, addresses and policies, and no cluster. An ipBlock counts for the addresses of
pods too, because AWS' VPC CNI applies it so.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Policy = Mapping[str, Any]
Port = int | str


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A pod, or, without a namespace, an address outside the cluster's pods."""

    address: str
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    """Numbers of its containers' ports, by name."""


@dataclass(frozen=True)
class Network:
    """The policies of a cluster, and its namespaces' labels."""

    policies: Sequence[Policy]
    namespaces: Mapping[str, Mapping[str, str]]

    def allows(self, source: Peer, target: Peer, port: int, *, protocol: str = "TCP") -> bool:
        """Say whether a connection passes: out of the source, and into the target."""
        out = self._rules(source, "Egress")
        into = self._rules(target, "Ingress")
        return all(
            rules is None
            or any(
                self._is_from_or_to(other, rule.get(end), home=home)
                and _is_port(target, port, protocol=protocol, ports=rule.get("ports"))
                for home, rule in rules
            )
            for rules, other, end in ((out, target, "to"), (into, source, "from"))
        )

    def _rules(self, peer: Peer, direction: str) -> list[tuple[str, Mapping[str, Any]]] | None:
        """Return the rules for a pod, each with its policy's namespace; None: not isolated."""
        isolating = [
            (policy["metadata"]["namespace"], policy["spec"])
            for policy in self.policies
            if peer.namespace == policy["metadata"]["namespace"]
            and selects(policy["spec"]["podSelector"], peer.labels)
            and direction in _types(policy["spec"])
        ]
        if not isolating:
            return None
        key = direction.lower()
        return [(home, rule) for home, spec in isolating for rule in spec.get(key) or []]

    def _is_from_or_to(self, peer: Peer, wanted: list[Any] | None, *, home: str) -> bool:
        return not wanted or any(self._is(peer, each, home=home) for each in wanted)

    def _is(self, peer: Peer, wanted: Mapping[str, Any], *, home: str) -> bool:
        if "ipBlock" in wanted:
            return _within(peer.address, wanted["ipBlock"])
        if not peer.namespace:
            return False
        spaces = wanted.get("namespaceSelector")
        if spaces is None:
            near = peer.namespace == home
        else:
            near = selects(spaces, self.namespaces.get(peer.namespace, {}))
        pods = wanted.get("podSelector")
        return near and (pods is None or selects(pods, peer.labels))


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Say whether a label selector selects; an empty one selects everything.

    Raises:
        ValueError: Its operator is unknown.
    """
    exact = (selector.get("matchLabels") or {}).items()
    return all(labels.get(name) == value for name, value in exact) and all(
        _holds(each, labels) for each in selector.get("matchExpressions") or []
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values", [])
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case other:
            raise ValueError(f"{other} is not an operator of a label selector")


def _types(spec: Mapping[str, Any]) -> Iterable[str]:
    return spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]


def _within(address: str, block: Mapping[str, Any]) -> bool:
    its = ipaddress.ip_address(address)
    return its in ipaddress.ip_network(block["cidr"]) and not any(
        its in ipaddress.ip_network(each) for each in block.get("except") or []
    )


def _is_port(target: Peer, port: int, *, protocol: str, ports: list[Any] | None) -> bool:
    return not ports or any(
        each.get("protocol", "TCP") == protocol and _is(each, port, target=target) for each in ports
    )


def _is(wanted: Mapping[str, Any], port: int, *, target: Peer) -> bool:
    given = wanted.get("port")
    if given is None:
        return True
    first = target.ports.get(given) if isinstance(given, str) else given
    return first is not None and first <= port <= wanted.get("endPort", first)
