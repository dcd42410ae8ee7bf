"""Who the cluster and its nodes are to AWS: roles of our own, or one that is there."""

import json
from collections.abc import Sequence

import pulumi
from pulumi_aws import iam

from sluice_infra.naming import Naming

_CLUSTER = ("AmazonEKSClusterPolicy",)
_AUTO_CLUSTER = (
    "AmazonEKSClusterPolicy",
    "AmazonEKSComputePolicy",
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
)
"""docs.aws.amazon.com/eks/latest/userguide/auto-cluster-iam-role.html"""
# Not AmazonEKS_CNI_Policy: that is for the add-on's own role, and no pod gets the node's.
_NODE = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")
_AUTO_NODE = ("AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly")


class Roles(pulumi.ComponentResource):
    """The roles of a cluster and of its nodes. ``granted`` is there once they have their rights."""

    def __init__(
        self,
        naming: Naming,
        *,
        existing: str | None,
        auto: bool,
        tags_volumes: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("sluice:infra:Roles", naming.name("roles"), None, opts)
        self.granted: list[pulumi.Resource] = []
        self.cluster_arn: pulumi.Input[str]
        self.node_arn: pulumi.Input[str]
        if existing:
            self.cluster_arn = self.node_arn = existing
        else:
            cluster = self._made(
                naming, "cluster", service="eks", rights=_AUTO_CLUSTER if auto else _CLUSTER
            )
            node = self._made(naming, "node", service="ec2", rights=_AUTO_NODE if auto else _NODE)
            self.cluster_arn, self.node_arn = cluster.arn, node.arn
            if auto and tags_volumes:
                self._let_volumes_be_tagged(naming, cluster)
        self.register_outputs({"clusterArn": self.cluster_arn, "nodeArn": self.node_arn})

    def _let_volumes_be_tagged(self, naming: Naming, cluster: iam.Role) -> None:
        """Let Auto Mode give volumes tags of a StorageClass, which AWS' policies do not allow.

        docs.aws.amazon.com/eks/latest/userguide/auto-learn-iam.html#tag-prop
        """
        name = naming.name("cluster-volume-tags")
        ours = {"aws:RequestTag/eks:eks-cluster-name": "${aws:PrincipalTag/eks:eks-cluster-name}"}
        self.granted.append(
            iam.RolePolicy(
                name,
                role=cluster.id,
                policy=json.dumps(
                    {
                        "Version": "2012-10-17",
                        "Statement": [
                            {
                                "Effect": "Allow",
                                "Action": ["ec2:CreateVolume"],
                                "Resource": ["arn:aws:ec2:*:*:volume/*"],
                                "Condition": {"StringEquals": ours},
                            }
                        ],
                    }
                ),
                opts=pulumi.ResourceOptions(parent=self),
            )
        )

    def _made(self, naming: Naming, name: str, *, service: str, rights: Sequence[str]) -> iam.Role:
        role = iam.Role(
            naming.name(name),
            name=naming.everywhere(name),
            assume_role_policy=trust(f"{service}.amazonaws.com"),
            tags=naming.tags(name),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.granted += [
            iam.RolePolicyAttachment(
                naming.name(f"{name}-{policy}"),
                role=role.name,
                policy_arn=aws_policy(policy),
                opts=pulumi.ResourceOptions(parent=self),
            )
            for policy in rights
        ]
        return role


def aws_policy(name: str) -> str:
    """Return the address of a policy that AWS keeps."""
    return f"arn:aws:iam::aws:policy/{name}"


def trust(service: str, **tags: str) -> str:
    """Return the document that lets an AWS service be a role, for requests with these tags."""
    statement: dict[str, object] = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
    if tags:
        wanted = {f"aws:RequestTag/{key.replace('_', '-')}": value for key, value in tags.items()}
        statement["Condition"] = {"StringEquals": wanted}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
