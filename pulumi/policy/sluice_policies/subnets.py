"""Addresses say who somebody is, where nothing else does."""

from collections.abc import Iterator, Sequence

from sluice_policies.resources import Resource, Said

_FOR_LOAD_BALANCERS = ("kubernetes.io/role/elb", "kubernetes.io/role/internal-elb")
_WITH_PODS = ("aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup")


def load_balancers_are_apart(resources: Sequence[Resource], _: Said) -> Iterator[tuple[str, str]]:
    """No pod has an address that a network policy takes for a load balancer's."""
    for subnet in resources:
        if subnet.type != "aws:ec2/subnet:Subnet":
            continue
        if not any(subnet.at("tags", tag) for tag in _FOR_LOAD_BALANCERS):
            continue
        for user in resources:
            if user.type in _WITH_PODS and subnet.urn in frozenset().union(*user.refers.values()):
                yield f"load balancers and pods of {user.name} share it", subnet.urn
