"""NetworkPolicies are enforced, not only accepted."""

import json
from collections.abc import Iterator, Sequence

from sluice_policies.resources import Resource, Said


def network_policies_are_enforced(
    resources: Sequence[Resource], _: Said
) -> Iterator[tuple[str, str]]:
    """A cluster has what enforces them: a ConfigMap in Auto Mode, the VPC CNI add-on otherwise."""
    for cluster in resources:
        if cluster.type != "aws:eks/cluster:Cluster":
            continue
        if cluster.at("computeConfig", "enabled") is True:
            if not any(map(_is_auto_mode_s_switch, resources)):
                what = "the ConfigMap amazon-vpc-cni: enable-network-policy-controller"
                yield f"NetworkPolicies mean nothing in Auto Mode without {what}", cluster.urn
        elif not any(map(_is_enforcing_add_on, resources)):
            what = "the add-on vpc-cni: configurationValues.enableNetworkPolicy"
            yield f"NetworkPolicies mean nothing without {what}", cluster.urn


def _is_auto_mode_s_switch(resource: Resource) -> bool:
    if resource.type != "kubernetes:core/v1:ConfigMap":
        return False
    return not resource.known or (
        resource.at("metadata", "namespace") == "kube-system"
        and resource.at("metadata", "name") == "amazon-vpc-cni"
        and resource.at("data", "enable-network-policy-controller") == "true"
    )


def _is_enforcing_add_on(resource: Resource) -> bool:
    if resource.type != "aws:eks/addon:Addon" or resource.at("addonName") != "vpc-cni":
        return False
    given = resource.at("configurationValues")
    chosen = json.loads(given) if isinstance(given, str) else {}
    return bool(chosen.get("enableNetworkPolicy") == "true")
