"""For each policy, resources that break it and resources that keep it."""

# ruff: noqa: FBT003 # properties are what they are

import copy
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sluice_policies.resources import Resource
from sluice_policies.tags import REQUIRED

TAGS = dict.fromkeys(REQUIRED, "something")
BUCKET = "aws:s3/bucket:Bucket"
CLUSTER = "aws:eks/cluster:Cluster"
GROUP = "aws:eks/nodeGroup:NodeGroup"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
REPOSITORY = "aws:ecr/repository:Repository"
ROLE = "aws:iam/role:Role"
LIFECYCLE = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
READERS = "aws:ecr/repositoryPolicy:RepositoryPolicy"
NODE_POOL = "kubernetes:karpenter.sh/v1:NodePool"
KAFKA = "aws:msk/cluster:Cluster"
DATABASE = "aws:rds/instance:Instance"
PARAMETERS = "aws:rds/parameterGroup:ParameterGroup"
SECURITY_GROUP = "aws:ec2/securityGroup:SecurityGroup"


def _allowing(principal: str) -> str:
    return f'{{"Statement": {{"Effect": "Allow", "Principal": {principal}, "Action": "ecr:Get"}}}}'


def _trusting(**claims: str | list[str]) -> str:
    """Return a role's trust in our repository at GitHub, with other claims; "" takes one away."""
    issuer = "token.actions.githubusercontent.com"
    ours = {
        "aud": "sts.amazonaws.com",
        "sub": ["repo:o@1/r@2:ref:refs/heads/main", "repo:o@1/r@2:environment:prod"],
        "ref": "refs/heads/main",
    }
    wanted = {f"{issuer}:{name}": claim for name, claim in {**ours, **claims}.items() if claim}
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::111122223333:oidc-provider/{issuer}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": wanted},
    }
    return json.dumps({"Statement": [statement]})


def _expiring(selection: str) -> str:
    return f'{{"rules": [{{"selection": {{{selection}}}, "action": {{"type": "expire"}}}}]}}'


# Keeps every policy; what breaks one differs from these in one thing.
_GOOD: Mapping[str, Mapping[str, Any]] = {
    CLUSTER: {
        "vpcConfig": {"endpointPublicAccess": False},
        "encryptionConfig": {"resources": ["secrets"], "provider": {"keyArn": "arn:aws:kms:::k"}},
        "deletionProtection": True,
    },
    NODE_POOL: {
        "spec": {
            "limits": {"cpu": "32"},
            "disruption": {"consolidationPolicy": "WhenEmpty"},
        }
    },
    GROUP: {"launchTemplate": {"id": "lt-1"}},
    TEMPLATE: {
        "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"encrypted": "true"}}],
        "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
        "tagSpecifications": [
            {"resourceType": kind, "tags": TAGS} for kind in ("instance", "volume")
        ],
    },
    REPOSITORY: {
        "imageTagMutability": "IMMUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfigurations": [{"encryptionType": "AES256"}],
    },
    ROLE: {"assumeRolePolicy": _trusting()},
    LIFECYCLE: {
        "policy": '{"rules": [{"selection": {"tagStatus": "tagged", "tagPatternList": ["pr-*"]}}]}'
    },
    READERS: {"policy": _allowing('{"AWS": "arn:aws:iam::111122223333:root"}')},
    KAFKA: {
        "encryptionInfo": {
            "encryptionAtRestKmsKeyArn": "arn:aws:kms:::k",
            "encryptionInTransit": {"clientBroker": "TLS", "inCluster": True},
        },
        "clientAuthentication": {"unauthenticated": False},
    },
    DATABASE: {
        "publiclyAccessible": False,
        "storageEncrypted": True,
        "backupRetentionPeriod": 7,
        "parameterGroupName": "ours",
        "deletionProtection": True,
        "skipFinalSnapshot": False,
    },
    PARAMETERS: {"parameters": [{"name": "rds.force_ssl", "value": "1"}]},
    SECURITY_GROUP: {
        "ingress": [{"cidrBlocks": ["10.0.0.0/16"], "fromPort": 443, "toPort": 443}],
        "egress": [{"cidrBlocks": ["0.0.0.0/0"]}],
    },
    BUCKET: {"forceDestroy": False},
    "aws:ec2/subnet:Subnet": {"mapPublicIpOnLaunch": False},
    "aws:ebs/volume:Volume": {"encrypted": True},
    "kubernetes:storage.k8s.io/v1:StorageClass": {"parameters": {"encrypted": "true"}},
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": {"cidrIpv4": "10.0.0.0/16"},
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": {
        "bucket": "guarded",
        "blockPublicAcls": True,
        "blockPublicPolicy": True,
        "ignorePublicAcls": True,
        "restrictPublicBuckets": True,
    },
    "aws:s3/bucketPolicy:BucketPolicy": {
        "bucket": "guarded",
        "policy": '{"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:*"}]}',
    },
    "aws:ec2/securityGroupRule:SecurityGroupRule": {
        "type": "egress",
        "cidrBlocks": ["0.0.0.0/0"],
    },
    "aws:s3/bucketAcl:BucketAcl": {"acl": "private"},
}


_UNTAGGED = ("kubernetes:", "aws:s3/bucketP", "aws:s3/bucketAcl", LIFECYCLE, READERS)


@dataclass(frozen=True, kw_only=True)
class Breach:
    """A resource that breaks a policy, and a part of the message about it."""

    resource: Resource
    message: str


def good(kind: str) -> Resource:
    """Return a resource of a kind that keeps every policy."""
    tagged = {} if kind.startswith(_UNTAGGED) else TAGS
    props = {**copy.deepcopy(dict(_GOOD[kind])), **({"tags": dict(tagged)} if tagged else {})}
    return Resource(type=kind, name=f"good {kind.rpartition(':')[2]}", props=props, protected=True)


def conforming() -> list[Resource]:
    """Return one of each kind."""
    return [good(kind) for kind in _GOOD]


def _bad(kind: str, path: str, value: Any, message: str) -> Breach:
    """Change one property, by a path like ``vpcConfig.publicAccessCidrs``; None takes it away."""
    resource = good(kind)
    *folders, last = path.split(".")
    place: Any = resource.props
    for folder in folders:
        place = place[int(folder) if folder.isdigit() else folder]
    if value is None:
        del place[last]
    else:
        place[last] = value
    name = f"{kind.rpartition(':')[2]} with {path} {_short(value)}"
    return Breach(
        resource=Resource(type=kind, name=name, props=resource.props, protected=True),
        message=message,
    )


def _open_to(*cidrs: str) -> dict[str, Any]:
    return {"endpointPublicAccess": True, "publicAccessCidrs": list(cidrs)}


def _short(value: Any) -> str:
    """Return a value as a part of a resource's name, where documents do not fit."""
    text = str(value)
    return text if "::" not in text else f"{zlib.crc32(text.encode()):08x}"


_REMOVABLE = Resource(type=BUCKET, name="removable", props={"tags": TAGS}, protected=False)

BREACHES: Mapping[str, Sequence[Breach]] = {
    "api-is-not-open": [
        _bad(CLUSTER, "vpcConfig", _open_to("0.0.0.0/0"), "everybody reaches the API"),
        _bad(CLUSTER, "vpcConfig", _open_to("10.0.0.0/8", "::/0"), "everybody reaches the API"),
        _bad(CLUSTER, "vpcConfig", _open_to(), "everybody reaches the API"),
        _bad(CLUSTER, "vpcConfig", {}, "everybody reaches the API"),
    ],
    "buckets-are-not-public": [
        _bad(BUCKET, "acl", "public-read", "the bucket is public: acl public-read"),
        _bad("aws:s3/bucketAcl:BucketAcl", "acl", "public-read-write", "the bucket is public"),
        _bad(
            "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
            "ignorePublicAcls",
            False,
            "could be made public: ignorePublicAcls",
        ),
        _bad(
            "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
            "restrictPublicBuckets",
            None,
            "could be made public: restrictPublicBuckets",
        ),
        _bad(
            "aws:s3/bucketPolicy:BucketPolicy",
            "policy",
            '{"Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "s3:*"}}',
            "its policy allows everybody something",
        ),
    ],
    "databases-are-guarded": [
        _bad(DATABASE, "publiclyAccessible", True, "it gets a public address"),
        # In a VPC with a way to the Internet this is AWS' default.
        _bad(DATABASE, "publiclyAccessible", None, "it gets a public address"),
        _bad(DATABASE, "storageEncrypted", False, "snapshots are not encrypted"),
        _bad(DATABASE, "storageEncrypted", None, "snapshots are not encrypted"),
        _bad(DATABASE, "backupRetentionPeriod", 0, "there are no backups of it"),
        _bad(DATABASE, "backupRetentionPeriod", None, "there are no backups of it"),
        _bad(DATABASE, "parameterGroupName", None, "AWS decides whether connections need TLS"),
        _bad(DATABASE, "parameterGroupName", "default.postgres17", "AWS decides whether connec"),
        _bad(PARAMETERS, "parameters.0.value", "0", "connections need no TLS"),
        _bad(PARAMETERS, "parameters.0.name", "ssl", "connections need no TLS"),
        _bad(PARAMETERS, "parameters", [], "connections need no TLS"),
        _bad(PARAMETERS, "parameters", None, "connections need no TLS"),
    ],
    "disks-are-encrypted": [
        _bad(TEMPLATE, "blockDeviceMappings.0.ebs.encrypted", "false", "/dev/xvda is not encrypt"),
        _bad(TEMPLATE, "blockDeviceMappings.0.ebs.encrypted", None, "/dev/xvda is not encrypted"),
        _bad(TEMPLATE, "blockDeviceMappings", None, "disks are as the image has them"),
        _bad(GROUP, "launchTemplate", None, "without a launch template"),
        _bad("aws:ebs/volume:Volume", "encrypted", False, "the volume is not encrypted"),
        _bad(
            "kubernetes:storage.k8s.io/v1:StorageClass",
            "parameters",
            {"type": "gp3"},
            "its volumes are not encrypted",
        ),
    ],
    "everything-is-tagged": [
        _bad(BUCKET, "tags", None, "tags: Environment, ManagedBy, Name, Owner, Project missing"),
        _bad(BUCKET, "tags.Owner", None, "tags: Owner missing"),
        _bad(BUCKET, "tags.Owner", "", "tags: Owner missing"),
        _bad(TEMPLATE, "tagSpecifications.1.tags", {}, "tagSpecifications of each volume"),
        _bad(TEMPLATE, "tagSpecifications", None, "tagSpecifications of each instance"),
    ],
    "github-is-one-repository": [
        _bad(ROLE, "assumeRolePolicy", _trusting(sub=""), "any repository can be it"),
        _bad(ROLE, "assumeRolePolicy", _trusting(sub="*"), "any repository can be it"),
        _bad(ROLE, "assumeRolePolicy", _trusting(sub="repo:o/*:ref:refs/heads/main"), "any repos"),
        _bad(ROLE, "assumeRolePolicy", _trusting(sub="repo:o/r:*"), "any repository can be it"),
        _bad(ROLE, "assumeRolePolicy", _trusting(sub=["repo:o/r:pull_request"]), "any repository"),
        _bad(ROLE, "assumeRolePolicy", _trusting(ref=""), "any branch can be it"),
        _bad(ROLE, "assumeRolePolicy", _trusting(ref="refs/heads/*"), "any branch can be it"),
        _bad(ROLE, "assumeRolePolicy", _trusting(aud=""), "tokens for others than AWS"),
        _bad(
            ROLE,
            "assumeRolePolicy",
            _trusting().replace("StringEquals", "StringLike"),
            "any repository can be it",
        ),
    ],
    "images-are-encrypted": [
        _bad(REPOSITORY, "encryptionConfigurations", None, "does not say how images are encrypted"),
    ],
    "images-are-kept": [
        _bad(LIFECYCLE, "policy", _expiring('"tagStatus": "any"'), "tagStatus any"),
        _bad(LIFECYCLE, "policy", _expiring('"tagStatus": "untagged"'), "tagStatus untagged"),
        _bad(
            LIFECYCLE,
            "policy",
            _expiring('"tagStatus": "tagged", "tagPatternList": ["pr-*", "2026*-*"]'),
            "their tags match",
        ),
        _bad(
            LIFECYCLE,
            "policy",
            _expiring('"tagStatus": "tagged", "tagPrefixList": ["2"]'),
            "their tags match",
        ),
    ],
    "images-are-not-public": [
        _bad(READERS, "policy", _allowing('"*"'), "everybody may use its images"),
        _bad(READERS, "policy", _allowing('{"AWS": ["*"]}'), "everybody may use its images"),
    ],
    "images-stay-as-they-are": [
        _bad(REPOSITORY, "imageTagMutability", "MUTABLE", "tags can be moved"),
        _bad(REPOSITORY, "imageTagMutability", None, "tags can be moved"),
        _bad(REPOSITORY, "imageScanningConfiguration.scanOnPush", False, "images are not scanned"),
    ],
    "kafka-is-encrypted": [
        _bad(KAFKA, "encryptionInfo.encryptionAtRestKmsKeyArn", None, "no key for records"),
        _bad(KAFKA, "encryptionInfo.encryptionInTransit.clientBroker", "TLS_PLAINTEXT", "travel"),
        _bad(KAFKA, "encryptionInfo.encryptionInTransit.inCluster", False, "travel unencrypted"),
        _bad(KAFKA, "encryptionInfo", None, "records travel unencrypted"),
        _bad(KAFKA, "clientAuthentication.unauthenticated", True, "need not say who they are"),
    ],
    "node-pools-are-bounded": [
        _bad(NODE_POOL, "spec.limits", {}, "it can grow, and cost, without end"),
        _bad(NODE_POOL, "spec.limits", None, "it can grow, and cost, without end"),
        _bad(
            NODE_POOL,
            "spec.disruption.consolidationPolicy",
            "WhenEmptyOrUnderutilized",
            "it ends running steps",
        ),
        # Karpenter's default is to move pods.
        _bad(NODE_POOL, "spec.disruption", {}, "it ends running steps"),
    ],
    "nodes-are-not-open": [
        _bad(SECURITY_GROUP, "ingress.0.cidrBlocks", ["0.0.0.0/0"], "everybody is let in"),
        _bad(SECURITY_GROUP, "ingress.0.ipv6CidrBlocks", ["::/0"], "everybody is let in"),
        _bad(
            "aws:ec2/securityGroupRule:SecurityGroupRule", "type", "ingress", "everybody is let in"
        ),
        _bad(
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
            "cidrIpv4",
            "0.0.0.0/0",
            "everybody is let in",
        ),
        _bad(GROUP, "remoteAccess", {"ec2SshKey": "k"}, "everybody may try a shell"),
        _bad("aws:ec2/subnet:Subnet", "mapPublicIpOnLaunch", True, "gets a public address"),
    ],
    "nodes-ask-for-tokens": [
        _bad(TEMPLATE, "metadataOptions.httpTokens", "optional", "without a token (IMDSv1)"),
        _bad(TEMPLATE, "metadataOptions.httpPutResponseHopLimit", 2, "pods reach the node's right"),
        _bad(TEMPLATE, "metadataOptions", None, "without a token (IMDSv1)"),
    ],
    "prod-is-private": [
        _bad(CLUSTER, "vpcConfig", _open_to("198.18.7.0/24"), "the API has a public endpoint"),
        _bad(CLUSTER, "vpcConfig.endpointPublicAccess", None, "the API has a public endpoint"),
    ],
    "prod-is-protected": [
        Breach(resource=_REMOVABLE, message="it can be removed by mistake"),
        _bad(CLUSTER, "deletionProtection", False, "the cluster can be removed past Pulumi"),
        _bad(BUCKET, "forceDestroy", True, "the bucket goes with all that is in it"),
        _bad(DATABASE, "deletionProtection", False, "the database can be removed past Pulumi"),
        _bad(DATABASE, "deletionProtection", None, "the database can be removed past Pulumi"),
        _bad(DATABASE, "skipFinalSnapshot", True, "goes without a last snapshot"),
    ],
    "secrets-are-encrypted": [
        _bad(CLUSTER, "encryptionConfig", None, "the cluster's Secrets are not encrypted"),
        _bad(CLUSTER, "encryptionConfig.resources", [], "the cluster's Secrets are not encrypted"),
        _bad(CLUSTER, "encryptionConfig.provider", {}, "there is no key for the cluster's Secret"),
    ],
}
"""By the policy's name."""
