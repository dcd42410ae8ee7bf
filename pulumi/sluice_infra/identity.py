"""A role for each workload that talks to AWS, given to its account by EKS Pod Identity."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import eks, iam

from sluice_infra.cluster import Cluster
from sluice_infra.naming import Naming
from sluice_infra.places import Account
from sluice_infra.roles import aws_policy, trust

Statement = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Who wants rights, and which: statements of our own, or policies that AWS keeps."""

    name: str
    account: Account
    statements: pulumi.Input[Sequence[Statement]] | None = None
    kept_by_aws: tuple[str, ...] = ()


class Identity(pulumi.ComponentResource):
    """A workload's role, which nobody but its account in this cluster can be."""

    def __init__(
        self,
        naming: Naming,
        workload: Workload,
        *,
        cluster: Cluster,
        associate: bool = True,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the role; an add-on's account is given to it by the add-on: no ``associate``."""
        name = naming.name(workload.name)
        super().__init__("sluice:infra:Identity", name, None, opts)
        within = pulumi.ResourceOptions(parent=self)
        account = workload.account
        role = iam.Role(
            name,
            name=naming.everywhere(workload.name),
            assume_role_policy=cluster.eks.arn.apply(
                lambda arn: trust(
                    "pods.eks.amazonaws.com",
                    eks_cluster_arn=arn,
                    kubernetes_namespace=account.namespace,
                    kubernetes_service_account=account.name,
                )
            ),
            tags=naming.tags(workload.name),
            opts=within,
        )
        if workload.statements is not None:
            iam.RolePolicy(
                name,
                role=role.id,
                policy=pulumi.Output.from_input(workload.statements).apply(document),
                opts=within,
            )
        for policy in workload.kept_by_aws:
            iam.RolePolicyAttachment(
                f"{name}-{policy.rpartition('/')[2]}",
                role=role.name,
                policy_arn=aws_policy(policy),
                opts=within,
            )
        if associate:
            eks.PodIdentityAssociation(
                name,
                cluster_name=cluster.eks.name,
                namespace=account.namespace,
                service_account=account.name,
                role_arn=role.arn,
                tags=naming.tags(workload.name),
                opts=within,
            )
        self.role_arn = role.arn
        self.register_outputs({"roleArn": role.arn})


def document(statements: Sequence[Statement]) -> str:
    """Return an IAM policy of these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(
    *actions: str, on: str | Sequence[str] = "*", **conditions: Mapping[str, Any]
) -> Statement:
    """Return a statement that allows these actions."""
    resources = [on] if isinstance(on, str) else list(on)
    statement: dict[str, Any] = {"Effect": "Allow", "Action": list(actions), "Resource": resources}
    if conditions:
        statement["Condition"] = conditions
    return statement
