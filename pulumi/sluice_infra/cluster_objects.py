"""Kubernetes objects that describe the cluster itself, and so are there before Argo CD.

They are made here and not by a chart, because they depend on who makes nodes, volumes and load
balancers, which only the stack's settings say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from sluice_infra.naming import Naming
from sluice_infra.node_settings import NodePoolSettings
from sluice_infra.places import (
    DEFAULT_CLASS,
    INGRESS_CLASS,
    KUBE_SYSTEM,
    POOL,
    RETAIN_CLASS,
    SNAPSHOT_TAG,
    WORKFLOWS,
    WORKFLOWS_TAINT,
)

RUN_AT_MOST = "24h"
"""As `activeDeadlineSeconds` of the Workflows' defaults, in argocd/platform/values."""


@dataclass(frozen=True, kw_only=True)
class ClusterObjects:
    """What the objects depend on: ``node_pool`` is None without Auto Mode."""

    node_pool: NodePoolSettings | None
    snapshots: bool

    def make(self, naming: Naming, *, within: pulumi.ResourceOptions) -> list[pulumi.Resource]:
        """Declare them, with these options."""
        made: list[pulumi.Resource] = [
            self._storage_class(naming, DEFAULT_CLASS, policy="Delete", within=within),
            self._storage_class(naming, RETAIN_CLASS, policy="Retain", within=within),
        ]
        if self.node_pool:
            made += [
                _network_policy_controller(naming, within=within),
                _ingress_class(naming, within=within),
                _node_pool(naming, self.node_pool, within=within),
            ]
        return made

    def _storage_class(
        self, naming: Naming, name: str, *, policy: str, within: pulumi.ResourceOptions
    ) -> pulumi.Resource:
        """Make a StorageClass, for EKS makes none that encrypts, and Auto Mode none at all."""
        default = {"storageclass.kubernetes.io/is-default-class": "true"}
        parameters = {"type": "gp3", "encrypted": "true"}
        if policy == "Retain" and self.snapshots:
            parameters["tagSpecification_1"] = f"{SNAPSHOT_TAG}={naming.prefix}"
        return kubernetes.storage.v1.StorageClass(
            naming.name(name),
            metadata=kubernetes.meta.v1.ObjectMetaArgs(
                name=name, annotations=default if name == DEFAULT_CLASS else {}
            ),
            provisioner="ebs.csi.eks.amazonaws.com" if self.node_pool else "ebs.csi.aws.com",
            parameters=parameters,
            reclaim_policy=policy,
            # A volume is made in the zone of its pod, not the other way round.
            volume_binding_mode="WaitForFirstConsumer",
            allow_volume_expansion=True,
            opts=within,
        )


def _network_policy_controller(
    naming: Naming, *, within: pulumi.ResourceOptions
) -> pulumi.Resource:
    """Switch on what enforces NetworkPolicies: without it, Auto Mode accepts and ignores them.

    docs.aws.amazon.com/eks/latest/userguide/auto-net-pol.html. Its other half, `networkPolicy` of
    the NodeClass, is DefaultAllow by default, also in EKS' NodeClass `default`.
    """
    return kubernetes.core.v1.ConfigMap(
        naming.name("network-policies"),
        metadata=kubernetes.meta.v1.ObjectMetaArgs(name="amazon-vpc-cni", namespace=KUBE_SYSTEM),
        data={"enable-network-policy-controller": "true"},
        opts=within,
    )


def _ingress_class(naming: Naming, *, within: pulumi.ResourceOptions) -> pulumi.Resource:
    """Give Ingresses to Auto Mode's own controller."""
    return kubernetes.networking.v1.IngressClass(
        naming.name("load-balancers"),
        metadata=kubernetes.meta.v1.ObjectMetaArgs(name=INGRESS_CLASS),
        spec=kubernetes.networking.v1.IngressClassSpecArgs(controller="eks.amazonaws.com/alb"),
        opts=within,
    )


def _node_pool(
    naming: Naming, settings: NodePoolSettings, *, within: pulumi.ResourceOptions
) -> pulumi.Resource:
    return kubernetes.apiextensions.CustomResource(
        naming.name(WORKFLOWS),
        api_version="karpenter.sh/v1",
        kind="NodePool",
        metadata={"name": WORKFLOWS},
        spec=node_pool_spec(settings),
        opts=within,
    )


def node_pool_spec(settings: NodePoolSettings) -> Mapping[str, Any]:
    """Return the `spec` of Karpenter's NodePool for Workflows."""
    requirements = {
        "karpenter.sh/capacity-type": settings.capacity_types,
        "kubernetes.io/arch": settings.architectures,
        "eks.amazonaws.com/instance-category": ("c", "m", "r"),
    }
    return {
        "template": {
            "metadata": {"labels": {POOL: WORKFLOWS}},
            "spec": {
                "nodeClassRef": {
                    "group": "eks.amazonaws.com",
                    "kind": "NodeClass",
                    # EKS makes it with the built-in NodePool `general-purpose`.
                    "name": "default",
                },
                "requirements": [
                    *(
                        {"key": key, "operator": "In", "values": list(values)}
                        for key, values in requirements.items()
                    ),
                    # From the fifth on they are of EC2's Nitro, as Auto Mode's own pools want.
                    {
                        "key": "eks.amazonaws.com/instance-generation",
                        "operator": "Gt",
                        "values": ["4"],
                    },
                    # Many runs on one node would all end with it.
                    {
                        "key": "eks.amazonaws.com/instance-cpu",
                        "operator": "Lt",
                        "values": ["17"],
                    },
                ],
                "taints": [{"key": WORKFLOWS_TAINT, "value": "true", "effect": "NoSchedule"}],
                # A node that is to go, because of its age or a new image, waits for its runs.
                "expireAfter": "336h",
                "terminationGracePeriod": RUN_AT_MOST,
            },
        },
        "disruption": {
            # A step that is moved is a step that failed, so only empty nodes go.
            "consolidationPolicy": "WhenEmpty",
            # The next run of a series finds a node and its images.
            "consolidateAfter": "5m",
        },
        "limits": {"cpu": str(settings.cpu_limit)},
    }
