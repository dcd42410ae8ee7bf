"""The stacks of pulumi/: which environment each has, and how it describes its cluster."""

import json
import runpy
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.gitops.rendering import Cluster, Delivery, Helm, deliver
from tests.platform.charts import Charts
from tests.platform.objects import Delivered, Json, objects_of

STACKS = ("dev", "staging", "prod", "learnerlab")
_ENVIRONMENT = "sluice.dev/environment"
_MODE = "sluice.dev/kafka-mode"


def secret_of(stack: str) -> Json:
    """Return the metadata of the cluster's Secret, as Pulumi's engine made it in tests/pulumi."""
    golden = json.loads(Path(f"tests/data/pulumi/{stack}.json").read_text("utf-8"))
    [found] = [
        each
        for each in _objects(golden)
        if _MODE in each.get("annotations", {}) and _ENVIRONMENT in each.get("labels", {})
    ]
    return found


def _objects(node: Any) -> Iterator[Json]:
    if isinstance(node, dict):
        yield node
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
        yield from _objects(each)


def kubernetes() -> str:
    """Return the version of EKS."""
    return f"{_chosen('KUBERNETES')}.0"


def _chosen(name: str) -> str:
    found: str = runpy.run_path("pulumi/sluice_infra/versions.py")[name]
    return found


def argo_cd(*values: str) -> Json:
    """Return Argo CD's own chart, which Pulumi installs, as if it were an Application."""
    source = {
        "repoURL": _chosen("ARGO_CD_REPOSITORY"),
        "chart": "argo-cd",
        "targetRevision": _chosen("ARGO_CD_CHART"),
        "helm": {"releaseName": "argocd", "valueFiles": [f"argocd/{each}" for each in values]},
    }
    spec = {"project": "platform", "source": source, "destination": {"namespace": "argocd"}}
    return {"metadata": {"name": "argo-cd"}, "spec": spec}


def delivery_of(helm: Helm, stack: str) -> Delivery:
    """Return the Applications of a stack's cluster."""
    secret = secret_of(stack)
    cluster = Cluster(secret["annotations"], name="in-cluster")
    return deliver(helm, secret["labels"][_ENVIRONMENT], cluster)


@dataclass(frozen=True)
class Renderer:
    """Renders Applications twice, and what is the same in all environments once."""

    charts: Charts
    _done: dict[str, tuple[list[Json], list[Json]]] = field(default_factory=dict)

    def rendered(self, delivery: Delivery) -> list[Delivered]:
        """Return all that a cluster gets, wave by wave.

        A chart sees the APIs that the waves before have brought.
        """
        parts: list[Delivered] = []
        for application in sorted(
            delivery.applications, key=lambda each: delivery.waves[each["metadata"]["name"]]
        ):
            wave = delivery.waves[application["metadata"]["name"]]
            apis = {api for part in parts if part.wave < wave for api in served(part.first)}
            first, second = self._twice(application, sorted(apis))
            parts.append(Delivered(application=application, wave=wave, first=first, second=second))
        return parts

    def _twice(self, application: Json, apis: list[str]) -> tuple[list[Json], list[Json]]:
        key = json.dumps([application["spec"], apis], sort_keys=True)
        if key not in self._done:
            first, second = (
                objects_of(self.charts.render(application, kubernetes=kubernetes(), apis=apis))
                for _ in range(2)
            )
            self._done[key] = (first, second)
        return self._done[key]


def served(objects: list[Json]) -> Iterator[str]:
    """Yield the APIs of CustomResourceDefinitions, as Helm's `.Capabilities` has them."""
    for each in objects:
        if each["kind"] == "CustomResourceDefinition":
            for version in each["spec"]["versions"]:
                api = f"{each['spec']['group']}/{version['name']}"
                yield from (api, f"{api}/{each['spec']['names']['kind']}")
