"""Managed node groups: on demand for everything, and on spot for Workflows."""

from collections.abc import Mapping

import pulumi
from pulumi_aws import ec2, eks

from sluice_infra import places, versions
from sluice_infra.cluster import Cluster
from sluice_infra.naming import Naming
from sluice_infra.network import Network
from sluice_infra.node_settings import Architecture, NodeGroupSettings, NodeSettings
from sluice_infra.roles import Roles

AMI_TYPES: Mapping[Architecture, str] = {
    "amd64": "AL2023_x86_64_STANDARD",
    "arm64": "AL2023_ARM_64_STANDARD",
}
_ROOT_DEVICE = "/dev/xvda"


class NodeGroups(pulumi.ComponentResource):
    """The managed node groups of a cluster without Auto Mode."""

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
        super().__init__("sluice:infra:NodeGroups", naming.name("nodes"), None, opts)
        self._naming = naming
        self._cluster = cluster
        self._network = network
        self._roles = roles
        # One hop is the node itself. Pods are one further, and get its rights with two only.
        self._hops = 2 if pods_are_the_node else 1
        self._after = [*after, *roles.granted]
        wanted = {"services": settings.services, "workflows": settings.workflows}
        self.groups = [self._group(name, group) for name, group in wanted.items() if group]
        self.register_outputs({})

    def _group(self, name: str, group: NodeGroupSettings) -> eks.NodeGroup:
        spot = name == "workflows"
        template = self._template(name, group)
        return eks.NodeGroup(
            self._naming.name(name),
            cluster_name=self._cluster.eks.name,
            node_group_name_prefix=f"{name}-",
            node_role_arn=self._roles.node_arn,
            subnet_ids=self._network.private_subnet_ids,
            ami_type=AMI_TYPES[group.architecture],
            # Nodes follow the control plane to a new version.
            version=versions.KUBERNETES,
            capacity_type="SPOT" if spot else "ON_DEMAND",
            instance_types=list(group.instance_types),
            launch_template=eks.NodeGroupLaunchTemplateArgs(
                id=template.id, version=template.latest_version.apply(str)
            ),
            scaling_config=eks.NodeGroupScalingConfigArgs(
                min_size=group.desired_size,
                desired_size=group.desired_size,
                max_size=max(group.desired_size, 1),
            ),
            update_config=eks.NodeGroupUpdateConfigArgs(max_unavailable_percentage=33),
            node_repair_config=eks.NodeGroupNodeRepairConfigArgs(enabled=True),
            labels={places.POOL: places.WORKFLOWS} if spot else {},
            taints=[
                eks.NodeGroupTaintArgs(
                    key=places.WORKFLOWS_TAINT, value="true", effect="NO_SCHEDULE"
                )
            ]
            if spot
            else [],
            tags=self._naming.tags(name),
            opts=pulumi.ResourceOptions(parent=self, depends_on=self._after),
        )

    def _template(self, name: str, group: NodeGroupSettings) -> ec2.LaunchTemplate:
        return ec2.LaunchTemplate(
            self._naming.name(name),
            name_prefix=f"{self._naming.name(name)}-",
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
                    resource_type=kind, tags=self._naming.tags(name)
                )
                for kind in ("instance", "volume")
            ],
            tags=self._naming.tags(name),
            opts=pulumi.ResourceOptions(parent=self),
        )
