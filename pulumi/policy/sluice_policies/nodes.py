"""Nodes keep their rights to themselves."""

from collections.abc import Iterator

from sluice_policies.resources import Resource, Said


def nodes_ask_for_tokens(resource: Resource, said: Said) -> Iterator[str]:
    """IMDSv2 alone, and out of pods' reach unless the stack has no other role for them."""
    match resource.type:
        case "aws:ec2/launchTemplate:LaunchTemplate" | "aws:ec2/instance:Instance":
            if resource.at("metadataOptions", "httpTokens") != "required":
                yield "it answers without a token (IMDSv1): metadataOptions.httpTokens"
            hops = resource.at("metadataOptions", "httpPutResponseHopLimit")
            if hops != 1 and not said.pods_are_the_node:
                yield "pods reach the node's rights: metadataOptions.httpPutResponseHopLimit"
