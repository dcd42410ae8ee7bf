"""What holds data is never deleted by Argo CD, whatever becomes of it in git.

There is no Strimzi on the testbed, so its objects make no Kafka; that they stay is what counts.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from testbed.building.commands import run
from testbed.gitops.argocd import IN_CLUSTER
from tests.release.delivery import NAMESPACE, Delivery

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.upheaval,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("healthy"),
]

DATA = "kafkas,kafkanodepools,kafkatopics"
REST = "kafkausers"


def application(delivery: Delivery) -> dict[str, Any]:
    """Return an Application of helm/kafka that prunes, and takes all with it when it goes."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": "data",
            "finalizers": ["resources-finalizer.argocd.argoproj.io"],
        },
        "spec": {
            "project": "services",
            "source": {
                "repoURL": delivery.gitops.repository_url,
                "targetRevision": "main",
                "path": "helm/kafka",
                "helm": {"releaseName": "sluice"},
            },
            "destination": {"server": IN_CLUSTER, "namespace": NAMESPACE},
            "syncPolicy": {
                "automated": {"prune": True, "selfHeal": True},
                "syncOptions": ["ServerSideApply=true"],
            },
        },
    }


@pytest.fixture
def kafka(delivery: Delivery) -> Iterator[list[str]]:
    """The names of a Kafka's objects that hold data, as Argo CD has made them."""
    testbed = delivery.gitops.testbed
    definitions = testbed.programs.stock.definitions() / "strimzi"
    testbed.kubectl().define(sorted(definitions.iterdir()))
    delivery.gitops.kubectl.apply([application(delivery)])
    everything = declared(delivery)
    delivery.await_(
        lambda: len(names(delivery, f"{DATA},{REST}")) == everything, what="Kafka, topics and users"
    )
    yield names(delivery, DATA)
    delivery.gitops.kubectl("delete", "application", "data", "--ignore-not-found")
    delivery.kubectl("delete", *names(delivery, DATA))


def declared(delivery: Delivery) -> int:
    """Return how many objects of Strimzi's the chart has."""
    helm = delivery.gitops.testbed.programs.stock.program("helm", "helm")
    chart = delivery.repository.tree / "helm/kafka"
    return run([str(helm), "template", "sluice", str(chart)]).count(
        "\napiVersion: kafka.strimzi.io/"
    )


def names(delivery: Delivery, kinds: str) -> list[str]:
    return delivery.kubectl("get", kinds, "--output=name").split()


def test_objects_that_hold_data_are_neither_pruned_nor_deleted(
    delivery: Delivery, kafka: list[str]
) -> None:
    templates = delivery.repository.tree / "helm/kafka/templates"
    for template in templates.glob("*.yaml"):
        template.unlink()
    delivery.push("Drop Kafka")
    delivery.await_(lambda: names(delivery, REST) == [], what="The users to be pruned")
    assert names(delivery, DATA) == kafka

    delivery.gitops.kubectl("delete", "application", "data", "--timeout=120s")
    assert not delivery.kubectl.exists("configmap/sluice-kafka-metrics")
    assert names(delivery, DATA) == kafka
    delivery.push_revert()
