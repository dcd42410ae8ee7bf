"""Who talks to whom, and who must not: a table, checked against all policies of a cluster."""

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.platform import stand_ins
from tests.platform.objects import Json, pods_of
from tests.platform.policies import Network, Peer, selects

HTTP, KAFKA, DNS, HTTPS = 8080, 9093, 53, 443
HEALTH = {"gateway": 8090, "dispatcher": 8091, "status-watcher": 8092}
SERVICES = tuple(HEALTH)


@dataclass(frozen=True)
class Way:
    """A connection that is made, or that must not be possible."""

    source: str
    target: str
    port: int
    protocol: str = "TCP"

    def __str__(self) -> str:
        return f"{self.source} to {self.target}:{self.port}"


NEEDED = [
    # A client: by port-forward, or from a pod in Sluice's namespace.
    Way("client", "gateway", HTTP),
    Way("smoke-test", "gateway", HTTP),
    *(Way(name, "broker", KAFKA) for name in SERVICES),
    # As pods in kube-system, or on each node (EKS Auto Mode).
    *(
        Way(name, dns, DNS, protocol)
        for name in (*SERVICES, "smoke-test", "step")
        for dns in ("dns", "dns-service")
        for protocol in ("TCP", "UDP")
    ),
    # By the Service's address, or by one behind it.
    *(
        Way(name, api, HTTPS)
        for name in ("dispatcher", "status-watcher", "step")
        for api in ("api-server", "api-service")
    ),
    Way("step", "store", HTTPS),
    Way("step", "pod-identity-agent", 80),
    *(Way("prometheus", name, port) for name, port in HEALTH.items()),
    Way("prometheus", "broker", 9404),
    Way("prometheus", "strimzi", 8080),
    Way("prometheus", "argo-controller", 9090),
    Way("keda", "broker", KAFKA),
    Way("strimzi", "broker", 9090),
    Way("strimzi", "broker", 9091),
    Way("strimzi", "broker", 8443),
    Way("entity-operator", "broker", 9091),
    Way("broker", "broker", 9090),
    Way("broker", "broker", 9091),
]

FORBIDDEN = [
    # Pods and nodes have addresses of the same network as load balancers, but other subnets.
    Way("stranger", "gateway", HTTP),
    Way("node", "gateway", HTTP),
    Way("internet", "gateway", HTTP),
    Way("step", "gateway", HTTP),
    *(Way(name, other, HEALTH[other]) for name in ("step", "stranger") for other in SERVICES),
    *(Way("smoke-test", name, port) for name, port in (("broker", KAFKA), ("api-service", HTTPS))),
    Way("gateway", "api-server", HTTPS),
    Way("gateway", "api-service", HTTPS),
    *(Way(name, "internet", HTTPS) for name in SERVICES),
    *(Way(name, "metadata", 80) for name in (*SERVICES, "smoke-test", "step")),
    *(Way("dispatcher", name, port) for name, port in (("gateway", HTTP), ("step", HTTP))),
    Way("step", "broker", KAFKA),
    Way("step", "internet", 80),
    Way("step", "other-step", HTTP),
    *(Way(name, "step", HTTP) for name in ("client", "stranger", "internet", "prometheus")),
    *(Way(name, "broker", 9091) for name in ("client", "stranger", "step", "keda", *SERVICES)),
    Way("stranger", "broker", 8443),
]


FROM_OUTSIDE = Way("load-balancer", "gateway", HTTP)


def expected(*, load_balanced: bool) -> tuple[list[Way], list[Way]]:
    """Return what is needed and what is forbidden, with or without a load balancer."""
    if load_balanced:
        return [*NEEDED, FROM_OUTSIDE], FORBIDDEN
    return NEEDED, [*FORBIDDEN, FROM_OUTSIDE]


@dataclass(frozen=True)
class Addresses:
    """Gives each pod an address of the cluster's network."""

    network: ipaddress.IPv4Network

    def of(self, number: int) -> str:
        """Return the address of that number."""
        return str(self.network[number])


def peers(objects: list[Json], *, network: str) -> dict[str, Peer]:
    """Return all who occur in the table, by name."""
    addresses = Addresses(ipaddress.IPv4Network(network))
    [kafka] = [each for each in objects if each["kind"] == "Kafka"]
    pools = [each for each in objects if each["kind"] == "KafkaNodePool"]
    [pool] = [each for each in pools if "broker" in each["spec"]["roles"]]
    found = {
        "client": ("sluice", {"app": "a-client"}),
        "stranger": ("elsewhere", {"app": "a-client"}),
        "step": ("workflows", stand_ins.STEP),
        "other-step": ("workflows", stand_ins.STEP),
        "broker": ("sluice", stand_ins.broker_labels(pool)),
        "entity-operator": ("sluice", stand_ins.entity_operator_labels(kafka)),
        "prometheus": ("monitoring", stand_ins.PROMETHEUS),
        "dns": ("kube-system", stand_ins.DNS),
    }
    rendered = {
        "gateway": ("sluice", "sluice-gateway"),
        "dispatcher": ("sluice", "sluice-dispatcher"),
        "status-watcher": ("sluice", "sluice-status-watcher"),
        "smoke-test": ("sluice", "sluice-smoke-test"),
        "strimzi": ("strimzi", "strimzi-cluster-operator"),
        "keda": ("keda", "keda-operator"),
        "argo-controller": ("argo", "argo-workflows-workflow-controller"),
    }
    ports = {}
    by_name = {thing["metadata"]["name"]: pod for thing, pod in pods_of(objects)}
    for name, (namespace, workload) in rendered.items():
        found[name] = (namespace, by_name[workload]["metadata"]["labels"])
        ports[name] = container_ports(by_name[workload])
    pods = {
        name: Peer(
            address=addresses.of(1000 + number),
            namespace=namespace,
            labels=labels,
            ports=ports.get(name, {}),
        )
        for number, (name, (namespace, labels)) in enumerate(found.items())
    }
    return pods | {
        "api-service": Peer(address="172.20.0.1"),
        "dns-service": Peer(address="172.20.0.10"),
        "api-server": Peer(address=addresses.of(20)),
        "node": Peer(address=addresses.of(30)),
        # In the last 1/32 of the network (pulumi/sluice_infra/network.py).
        "load-balancer": Peer(address=addresses.of(-10)),
        "internet": Peer(address="203.0.113.9"),
        "store": Peer(address="52.219.169.1"),
        "metadata": Peer(address="169.254.169.254"),
        "pod-identity-agent": Peer(address="169.254.170.23"),
    }


def container_ports(pod: Mapping[str, Any]) -> dict[str, int]:
    """Return the numbers of a pod's ports, by name."""
    return {
        port["name"]: port["containerPort"]
        for container in pod["spec"]["containers"]
        for port in container.get("ports") or []
        if "name" in port
    }


def network_of(objects: list[Json], *, namespaces: set[str]) -> Network:
    """Return all policies: those of charts, and those that Strimzi makes."""
    rendered = [each for each in objects if each["kind"] == "NetworkPolicy"]
    labels = {name: {"kubernetes.io/metadata.name": name} for name in namespaces | {"elsewhere"}}
    return Network([*rendered, *stand_ins.kafka_policies(objects)], labels)


def wrong(
    network: Network, who: Mapping[str, Peer], *, needed: list[Way], forbidden: list[Way]
) -> list[str]:
    """Return the ways that are closed though they are needed, and those open though forbidden."""
    return [
        f"{way} is {'open' if ways is forbidden else 'closed'}"
        for ways in (needed, forbidden)
        for way in ways
        if network.allows(who[way.source], who[way.target], way.port, protocol=way.protocol)
        == (ways is forbidden)
    ]


def webhooks_without_way(
    objects: list[Json], network: Network, *, api_server: Peer, namespaces: Mapping[int, str]
) -> list[str]:
    """Return what the API server calls in vain: webhooks and APIs that no pod answers.

    Args:
        objects: All of the cluster.
        network: Its policies.
        api_server: Where the calls come from.
        namespaces: Where objects go that name no namespace, by their `id()`.
    """
    faults = []
    for thing, service in _called(objects):
        where = f"{thing['kind']}/{thing['metadata']['name']}"
        pods = list(_behind(service, objects, namespaces))
        if not pods:
            faults.append(f"{where}: no pod is behind {service['namespace']}/{service['name']}")
        faults += [
            f"{where}: the API server does not reach {service['name']}:{port}"
            for pod, port in pods
            if not network.allows(api_server, pod, port)
        ]
    return faults


def _called(objects: list[Json]) -> Iterator[tuple[Json, Mapping[str, Any]]]:
    for each in objects:
        if each["kind"] in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
            for webhook in each["webhooks"]:
                yield each, webhook["clientConfig"]["service"]
        if each["kind"] == "APIService":
            yield each, each["spec"]["service"]


def _behind(
    wanted: Mapping[str, Any], objects: list[Json], namespaces: Mapping[int, str]
) -> Iterator[tuple[Peer, int]]:
    for service in objects:
        place = namespaces.get(id(service))
        if (service["kind"], service["metadata"]["name"], place) != (
            "Service",
            wanted["name"],
            wanted["namespace"],
        ):
            continue
        number = wanted.get("port", HTTPS)
        [port] = [each for each in service["spec"]["ports"] if each["port"] == number]
        for workload, pod in pods_of(objects):
            labels = pod["metadata"]["labels"]
            if namespaces.get(id(workload)) == place and selects(
                {"matchLabels": service["spec"]["selector"]}, labels
            ):
                ports = container_ports(pod)
                target = port.get("targetPort", number)
                yield (
                    Peer(address="10.0.0.1", namespace=place or "", labels=labels, ports=ports),
                    target if isinstance(target, int) else ports[target],
                )
