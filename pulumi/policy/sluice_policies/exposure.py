"""Nobody from anywhere reaches nodes, the API or buckets."""

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

from sluice_policies.resources import UNKNOWN, Resource, Said, Value

_OPENING = dt.timedelta(days=7)
"""For the first `up`, which has to reach the API from outside of a VPC that is not there yet."""

_ANYWHERE = {"0.0.0.0/0", "::/0"}
_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


def nodes_are_not_open(resource: Resource, _: Said) -> Iterator[str]:
    """No rule lets anybody in, nodes have no addresses of their own, and no shell from outside."""
    if _ANYWHERE & set(_let_in(resource)):
        yield "everybody is let in: name networks or security groups"
    match resource.type:
        case "aws:eks/nodeGroup:NodeGroup":
            remote = resource.at("remoteAccess")
            if remote and not resource.each("remoteAccess", "sourceSecurityGroupIds"):
                yield "everybody may try a shell on its nodes: remoteAccess.sourceSecurityGroupIds"
        case "aws:ec2/subnet:Subnet" if resource.at("mapPublicIpOnLaunch") is True:
            yield "what starts here gets a public address: mapPublicIpOnLaunch"


def _let_in(resource: Resource) -> Iterator[str]:
    match resource.type:
        case (
            "aws:ec2/securityGroup:SecurityGroup"
            | "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
        ):
            for rule in resource.each("ingress"):
                yield from _known(rule.get("cidrBlocks"))
                yield from _known(rule.get("ipv6CidrBlocks"))
        case "aws:ec2/securityGroupRule:SecurityGroupRule" if resource.at("type") == "ingress":
            yield from resource.each("cidrBlocks")
            yield from resource.each("ipv6CidrBlocks")
        case "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule":
            yield str(resource.at("cidrIpv4"))
            yield str(resource.at("cidrIpv6"))


def _known(cidrs: Value) -> list[str]:
    return [] if cidrs is None or cidrs is UNKNOWN else list(cidrs)


def api_is_not_open(resource: Resource, said: Said) -> Iterator[str]:
    """The API server's public door opens for named networks, unless the stack says otherwise."""
    if resource.type != "aws:eks/cluster:Cluster" or said.any_cidr:
        return
    if resource.at("vpcConfig", "endpointPublicAccess") is False:
        return
    # AWS takes none for all.
    cidrs = resource.each("vpcConfig", "publicAccessCidrs")
    if not cidrs or _ANYWHERE & set(cidrs):
        yield "everybody reaches the API: sluice:cluster.publicCidrs, or say allowAnyCidr"


def prod_is_private(resource: Resource, said: Said) -> Iterator[str]:
    """Prod's API has a public endpoint for a week at most, until a day that the stack says."""
    if said.environment != "prod" or resource.type != "aws:eks/cluster:Cluster":
        return
    # AWS makes a public endpoint unless it is refused.
    if resource.at("vpcConfig", "endpointPublicAccess") in (False, UNKNOWN):
        return
    match said.public_until:
        case None:
            yield "the API has a public endpoint: remove publicCidrs, or set publicUntil"
        case until if until < said.today:
            yield f"the API was to be private after {until}: remove publicCidrs and publicUntil"
        case until if until - said.today > _OPENING:
            yield f"the API is public for more than {_OPENING.days} days: set publicUntil earlier"


def buckets_are_not_public(resource: Resource, _: Said) -> Iterator[str]:
    """No ACL, policy or missing block makes a bucket public."""
    match resource.type:
        case "aws:s3/bucket:Bucket" | "aws:s3/bucketAcl:BucketAcl":
            acl = resource.at("acl")
            if isinstance(acl, str) and acl.startswith(("public-", "authenticated-")):
                yield f"the bucket is public: acl {acl}"
        case "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock":
            lacks = [name for name in _BLOCKS if resource.at(name) is not True]
            if lacks:
                yield f"the bucket could be made public: {', '.join(lacks)}"
        case "aws:s3/bucketPolicy:BucketPolicy":
            policy = resource.at("policy")
            if isinstance(policy, str) and any(map(for_everybody, statements(policy))):
                yield "the bucket is public: its policy allows everybody something"


def statements(policy: str) -> list[dict[str, Any]]:
    """Return the statements of a policy of AWS."""
    found = json.loads(policy)["Statement"]
    return found if isinstance(found, list) else [found]


def for_everybody(statement: dict[str, Any]) -> bool:
    """Return whether a statement allows everybody something, under no condition."""
    principal = statement.get("Principal")
    if isinstance(principal, dict):
        principal = principal.get("AWS")
    named = principal if isinstance(principal, list) else [principal]
    return statement["Effect"] == "Allow" and "*" in named and not statement.get("Condition")
