"""EKS' add-ons: those that nodes need to become ready, and those that need nodes."""

import json
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi_aws import eks

from sluice_infra.cluster import Cluster
from sluice_infra.naming import Naming
from sluice_infra.settings import AddOn
from sluice_infra.workloads import ADD_ONS

_CONFIGURATION: Mapping[str, Mapping[str, Any]] = {
    # Without this, NetworkPolicies are accepted and mean nothing.
    "vpc-cni": {"enableNetworkPolicy": "true"},
}

BEFORE_NODES: tuple[AddOn, ...] = ("eks-pod-identity-agent", "vpc-cni", "kube-proxy")
AFTER_NODES: tuple[AddOn, ...] = ("coredns", "aws-ebs-csi-driver", "metrics-server")
WITH_AUTO_MODE: tuple[AddOn, ...] = ("metrics-server",)
"""All else is part of Auto Mode."""


class AddOns(pulumi.ComponentResource):
    """Some add-ons, in the versions that are said, or that EKS takes for this Kubernetes."""

    def __init__(
        self,
        naming: Naming,
        when: str,
        names: tuple[AddOn, ...],
        *,
        cluster: Cluster,
        versions: Mapping[AddOn, str],
        role_arns: Mapping[str, pulumi.Input[str]],
        after: list[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("sluice:infra:AddOns", naming.name(f"add-ons-{when}"), None, opts)
        self.installed = [
            eks.Addon(
                naming.name(name),
                cluster_name=cluster.eks.name,
                addon_name=name,
                addon_version=versions.get(name),
                configuration_values=json.dumps(_CONFIGURATION[name])
                if name in _CONFIGURATION
                else None,
                pod_identity_associations=[
                    eks.AddonPodIdentityAssociationArgs(
                        role_arn=role_arns[name], service_account=ADD_ONS[name].account.name
                    )
                ]
                if name in role_arns
                else None,
                resolve_conflicts_on_create="OVERWRITE",
                resolve_conflicts_on_update="OVERWRITE",
                tags=naming.tags(name),
                opts=pulumi.ResourceOptions(parent=self, depends_on=after),
            )
            for name in names
        ]
        self.register_outputs({})
