"""Every pod reaches what it needs and nothing else: the charts' policies, by a real engine.

Pods try to connect to every target. All targets listen: without the policies each connection
succeeds, as the last test shows. `broker` is a stand-in for one of Strimzi's.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from testbed.cluster.argo import BUCKET
from testbed.cluster.policy_engine import enforced_policies
from testbed.machine.addresses import API_PORT, API_SERVICE, NODE, STORE_PORT
from testbed.testbed import Testbed
from tests.charts.rendering import KAFKA, WORKFLOWS, Helm, Json
from tests.cluster.reachability import World, peer, running
from tests.platform.stand_ins import kafka_labels, kafka_policies
from tests.support.kafka import unique_name
from tests.support.releases import Release, load_images, released

# The images may have to be built first.
pytestmark = [pytest.mark.cluster, pytest.mark.upheaval, pytest.mark.timeout(900)]

ON_NODE = [{"ipBlock": {"cidr": f"{NODE}/32"}}]
API_SERVER = [{"ipBlock": {"cidr": f"{API_SERVICE}/32"}}, *ON_NODE]
SERVICES = {"gateway": 8090, "dispatcher": 8091, "status-watcher": 8092}
PEER_PORT = 8000
BROKER_PORTS = {"broker": 9093, "replication of the broker": 9091}
BROKER = kafka_labels("sluice")

# Starts a run, and prints the lines of its stream of events, which ends with the run.
_RUN = """
import json, sys, urllib.request as http
runs, body = sys.argv[1:]
start = http.Request(runs, body.encode(), {"content-type": "application/json"})
accepted = json.load(http.urlopen(start, timeout=30))
follow = http.Request(f"{runs}/{accepted['id']}/events", headers={"accept": "text/event-stream"})
for line in http.urlopen(follow, timeout=90):
    if line.startswith(b"data:"):
        print(line.decode().strip())
"""
_NAME_LOOKUP = "import socket; print(socket.getaddrinfo('kubernetes.default.svc', 443)[0][4][0])"


LABELS = {"step": {"workflows.argoproj.io/workflow": "run"}, "broker": BROKER}


@pytest.fixture(scope="module")
def enforced(testbed: Testbed) -> Iterator[Testbed]:
    """The testbed, with the images of the services, and an engine for policies."""
    load_images(testbed)
    with enforced_policies(testbed):
        yield testbed


@pytest.fixture(scope="module")
def namespaces(enforced: Testbed) -> Iterator[tuple[str, str]]:
    """A namespace that may read metrics, and another one."""
    names = unique_name("monitoring"), unique_name("elsewhere")
    kubectl = enforced.kubectl()
    for name in names:
        kubectl("create", "namespace", name)
    yield names
    kubectl("delete", "namespace", *names, "--wait=false")


@pytest.fixture(scope="module")
def release(enforced: Testbed, namespaces: tuple[str, str]) -> Iterator[Release]:
    """One of each service, which may reach Kafka 4.3 and the API server."""
    monitoring, _ = namespaces
    values = {
        "gateway": {"replicas": 1},
        "dispatcher": {"replicas": 1},
        "statusWatcher": {"replicas": 1},
        "networkPolicy": {
            "dnsTo": ON_NODE,
            "kafkaTo": [*ON_NODE, {"podSelector": {"matchLabels": BROKER}}],
            "kafkaPorts": [9092, 9093],
            "apiServerTo": API_SERVER,
            "metricsFrom": [
                {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": monitoring}}}
            ],
        },
    }
    with released(enforced, enforced.kafka["4.3"], values=values) as release:
        yield release


def policies_of_runs(release: Release, values: Path) -> list[Json]:
    """Return the policies that helm/workflows gives to the pods of runs."""
    given = {
        "namespaces": {"names": [release.runs]},
        "artifacts": {"s3": {"bucket": BUCKET}},
        "networkPolicy": {
            "dnsTo": ON_NODE,
            "apiServerTo": API_SERVER,
            "artifactsTo": ON_NODE,
            "artifactsPorts": [STORE_PORT],
        },
    }
    values.write_text(yaml.safe_dump(given), encoding="utf-8")
    helm = Helm(release.testbed.programs.stock.program("helm", "helm"))
    return helm.rendered(values, WORKFLOWS).of("NetworkPolicy")


def policy_of_brokers(release: Release, values: Path) -> Json:
    """Return the policy that Strimzi makes of helm/kafka."""
    ours = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "sluice"}}}
    values.write_text(yaml.safe_dump({"listeners": {"internal": {"from": [ours]}}}), "utf-8")
    helm = Helm(release.testbed.programs.stock.program("helm", "helm"))
    [kafka] = helm.rendered(values, KAFKA).of("Kafka")
    kafka["metadata"]["namespace"] = release.namespace
    [policy] = kafka_policies([kafka])
    return dict(policy)


@pytest.fixture(scope="module")
def world(
    release: Release, namespaces: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> World:
    """All pods, ready, and all policies."""
    kubectl = release.testbed.kubectl()
    values = tmp_path_factory.mktemp("workflows") / "values.yaml"
    kubectl.apply([*policies_of_runs(release, values), policy_of_brokers(release, values)])
    monitoring, elsewhere = namespaces
    peers = {
        "neighbour": release.namespace,
        "prometheus": monitoring,
        "stranger": elsewhere,
        # It lives as long as the test, which no step of a run does.
        "step": release.runs,
        "broker": release.namespace,
    }
    ports = [PEER_PORT, *BROKER_PORTS.values()]
    kubectl.apply(
        peer(name, namespace, labels=LABELS.get(name, {}), ports=ports)
        for name, namespace in peers.items()
    )
    pods = {name: running(kubectl.within(where), f"pod/{name}") for name, where in peers.items()}
    targets = {name: (pod.address, PEER_PORT) for name, pod in pods.items()}
    targets |= {name: (pods["broker"].address, port) for name, port in BROKER_PORTS.items()}
    targets |= {
        "kafka": (NODE, 9092),
        "another kafka": (NODE, 9094),
        "api server": (API_SERVICE, 443),
        "api server behind its service": (NODE, API_PORT),
        "store": (NODE, STORE_PORT),
    }
    for service, port in SERVICES.items():
        found = f"--selector=app.kubernetes.io/component={service}"
        pods[service] = running(release.kubectl, "pod", found)
        targets[f"metrics of {service}"] = (pods[service].address, port)
    targets["gateway"] = (pods["gateway"].address, 8080)
    return World(pods, targets)


API = {"api server", "api server behind its service"}
OPEN = {"kafka", "another kafka", "store", "neighbour", "stranger", "prometheus"} | API
METRICS = {f"metrics of {service}" for service in SERVICES}

EXPECTED = {
    "gateway": {"kafka", "broker"},
    "dispatcher": {"kafka", "broker", *API},
    "status-watcher": {"kafka", "broker", *API},
    "step": {"store", *API},
    # They are under no policy, so they go anywhere, but to ours only where they may.
    "neighbour": (OPEN | {"gateway"}) - {"neighbour"},
    "stranger": OPEN - {"stranger"},
    "prometheus": (OPEN | METRICS) - {"prometheus"},
}


@pytest.mark.parametrize("source", EXPECTED)
def test_it_reaches_what_it_needs_and_nothing_else(world: World, source: str) -> None:
    world.assert_reached(source, EXPECTED[source])


@pytest.mark.parametrize("source", [*SERVICES, "step"])
def test_it_resolves_names(world: World, source: str) -> None:
    assert world.pods[source].python(_NAME_LOOKUP).strip() == API_SERVICE


def test_a_run_with_artifacts_succeeds_under_all_policies(world: World, release: Release) -> None:
    """From a neighbour, as a client of the gateway: nobody else may ask it."""
    runs = f"http://sluice-gateway.{release.namespace}:8080/v1/runs"
    body = json.dumps({"workflow": "map-reduce", "parameters": {"workers": 2, "text": "a b a"}})
    events = world.pods["neighbour"].python(_RUN, runs, body).splitlines()
    outcome = json.loads(events[-1].removeprefix("data:"))
    assert outcome["phase"] == "Succeeded", outcome


def test_without_the_policies_every_connection_succeeds(world: World, release: Release) -> None:
    """The last test: it deletes them."""
    for namespace in (release.namespace, release.runs):
        kubectl = release.testbed.kubectl().within(namespace)
        kubectl("delete", "networkpolicies", "--all")
    for source in EXPECTED:
        world.assert_reached(source, set(world.others(source)))
