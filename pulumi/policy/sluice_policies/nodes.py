"""Nodes keep their rights to themselves, and their number within limits."""

from collections.abc import Iterator

from sluice_policies.resources import UNKNOWN, Resource, Said


def nodes_ask_for_tokens(resource: Resource, said: Said) -> Iterator[str]:
    """IMDSv2 alone, and out of pods' reach unless the stack has no other role for them."""
    match resource.type:
        case "aws:ec2/launchTemplate:LaunchTemplate" | "aws:ec2/instance:Instance":
            if resource.at("metadataOptions", "httpTokens") != "required":
                yield "it answers without a token (IMDSv1): metadataOptions.httpTokens"
            hops = resource.at("metadataOptions", "httpPutResponseHopLimit")
            if hops != 1 and not said.pods_are_the_node:
                yield "pods reach the node's rights: metadataOptions.httpPutResponseHopLimit"


def node_pools_are_bounded(resource: Resource, _: Said) -> Iterator[str]:
    """A NodePool has a limit, and never moves pods to save money: a step that is moved failed."""
    if resource.type != "kubernetes:karpenter.sh/v1:NodePool":
        return
    if not resource.at("spec", "limits", "cpu"):
        yield "it can grow, and cost, without end: spec.limits.cpu"
    if resource.at("spec", "disruption", "consolidationPolicy") not in ("WhenEmpty", UNKNOWN):
        yield "it ends running steps to save nodes: spec.disruption.consolidationPolicy"
