"""Snapshots of Kafka's volumes, by Amazon Data Lifecycle Manager.

It selects volumes by a tag, so it needs nothing in the cluster, and it still works when the cluster
is gone: that is when a snapshot is wanted.
"""

import pulumi
from pulumi_aws import dlm, iam

from sluice_infra.naming import Naming
from sluice_infra.places import SNAPSHOT_TAG
from sluice_infra.roles import aws_policy, trust


class Snapshots(pulumi.ComponentResource):
    """A schedule for all volumes of the StorageClass that retains them."""

    def __init__(
        self,
        naming: Naming,
        *,
        hours: int,
        kept: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("sluice:infra:Snapshots", naming.name("snapshots"), None, opts)
        within = pulumi.ResourceOptions(parent=self)
        name = naming.name("snapshots")
        role = iam.Role(
            name,
            assume_role_policy=trust("dlm.amazonaws.com"),
            tags=naming.tags("snapshots"),
            opts=within,
        )
        allowed = iam.RolePolicyAttachment(
            name,
            role=role.name,
            policy_arn=aws_policy("service-role/AWSDataLifecycleManagerServiceRole"),
            opts=within,
        )
        dlm.LifecyclePolicy(
            name,
            description=f"Snapshots of the Kafka volumes of {naming.prefix}",
            execution_role_arn=role.arn,
            state="ENABLED",
            policy_details=dlm.LifecyclePolicyPolicyDetailsArgs(
                resource_types=["VOLUME"],
                target_tags={SNAPSHOT_TAG: naming.prefix},
                schedules=[
                    dlm.LifecyclePolicyPolicyDetailsScheduleArgs(
                        name=f"every {hours} h",
                        create_rule=dlm.LifecyclePolicyPolicyDetailsScheduleCreateRuleArgs(
                            interval=hours, interval_unit="HOURS"
                        ),
                        retain_rule=dlm.LifecyclePolicyPolicyDetailsScheduleRetainRuleArgs(
                            count=kept
                        ),
                        # Among them are the names of claim and volume in Kubernetes.
                        copy_tags=True,
                        tags_to_add=_without_name(naming.tags("snapshots")),
                    )
                ],
            ),
            tags=naming.tags("snapshots"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[allowed]),
        )
        self.register_outputs({})


def _without_name(tags: dict[str, str]) -> dict[str, str]:
    """Return tags that a volume cannot have too, for a snapshot copies the volume's name."""
    return {key: value for key, value in tags.items() if key != "Name"}
