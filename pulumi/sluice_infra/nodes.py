"""Managed node groups: for the platform, for services, and on spot for Workflows."""

import pulumi
from pulumi_aws import ec2, eks

from sluice_infra import places, versions
from sluice_infra.cluster import Cluster
from sluice_infra.naming import Naming
from sluice_infra.network import Network
from sluice_infra.roles import Roles
from sluice_infra.settings import GroupSettings, NodeSettings

IMAGE = "AL2023_x86_64_STANDARD"
_ROOT_DEVICE = "/dev/xvda"


class Nodes(pulumi.ComponentResource):
    """The node groups. ``groups`` is empty in Auto Mode, which brings its own nodes."""

    def __init__(
        self,
        naming: Naming,
        settings: NodeSettings,
        *,
        cluster: Cluster,
        network: Network,
        roles: Roles,
        pods_are_the_node: bool,
        after: list[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("sluice:infra:Nodes", naming.name("nodes"), None, opts)
        self._naming = naming
        self._cluster = cluster
        self._network = network
        self._roles = roles
        # One hop is the node itself. Pods are one further, and get its rights with two only.
        self._hops = 2 if pods_are_the_node else 1
        self._after = [*after, *roles.granted]
        wanted = {
            "system": settings.system,
            "services": settings.services,
            "workflows": settings.workflows,
        }
        self.groups = [self._group(pool, group) for pool, group in wanted.items() if group]
        self.register_outputs({})

    def _group(self, pool: str, group: GroupSettings) -> eks.NodeGroup:
        spot = pool == "workflows"
        template = self._template(pool, group)
        return eks.NodeGroup(
            self._naming.name(pool),
            cluster_name=self._cluster.eks.name,
            node_group_name_prefix=f"{pool}-",
            node_role_arn=self._roles.node_arn,
            subnet_ids=self._network.private_subnet_ids,
            ami_type=IMAGE,
            # Nodes follow the control plane to a new version.
            version=versions.KUBERNETES,
            capacity_type="SPOT" if spot else "ON_DEMAND",
            instance_types=list(group.instances),
            launch_template=eks.NodeGroupLaunchTemplateArgs(
                id=template.id, version=template.latest_version.apply(str)
            ),
            scaling_config=eks.NodeGroupScalingConfigArgs(
                min_size=group.least, desired_size=group.size, max_size=group.most
            ),
            update_config=eks.NodeGroupUpdateConfigArgs(max_unavailable_percentage=33),
            node_repair_config=eks.NodeGroupNodeRepairConfigArgs(enabled=True),
            labels={places.POOL: pool},
            taints=[
                eks.NodeGroupTaintArgs(
                    key=places.WORKFLOWS_TAINT, value="true", effect="NO_SCHEDULE"
                )
            ]
            if spot
            else [],
            tags=self._naming.tags(pool),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=self._after,
                # An autoscaler's business once there is one.
                ignore_changes=["scalingConfig.desiredSize"],
            ),
        )

    def _template(self, pool: str, group: GroupSettings) -> ec2.LaunchTemplate:
        return ec2.LaunchTemplate(
            self._naming.name(pool),
            name_prefix=f"{self._naming.name(pool)}-",
            update_default_version=True,
            metadata_options=ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled",
                http_tokens="required",
                http_put_response_hop_limit=self._hops,
            ),
            block_device_mappings=[
                ec2.LaunchTemplateBlockDeviceMappingArgs(
                    device_name=_ROOT_DEVICE,
                    ebs=ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                        encrypted="true",
                        volume_type="gp3",
                        volume_size=group.disk_gib,
                        delete_on_termination="true",
                    ),
                )
            ],
            tag_specifications=[
                ec2.LaunchTemplateTagSpecificationArgs(
                    resource_type=kind, tags=self._naming.tags(pool)
                )
                for kind in ("instance", "volume")
            ],
            tags=self._naming.tags(pool),
            opts=pulumi.ResourceOptions(parent=self),
        )
