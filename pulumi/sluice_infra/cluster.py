"""EKS' control plane: who gets in is said by access entries, Secrets are encrypted by our key."""

import json
import re
from collections.abc import Sequence
from ipaddress import IPv4Network

import pulumi
from pulumi_aws import cloudwatch, eks, kms

from sluice_infra import versions
from sluice_infra.naming import Naming
from sluice_infra.network import Network
from sluice_infra.roles import Roles
from sluice_infra.settings import ClusterSettings, SettingsError

SERVICES = IPv4Network("172.20.0.0/16")
API_SERVER_SERVICE = SERVICES[1]
"""Kubernetes gives the first address to its own Service."""
DNS_SERVICE = SERVICES[10]
"""EKS gives the tenth to DNS."""
LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
_ACCESS = "arn:aws:eks::aws:cluster-access-policy"


class Cluster(pulumi.ComponentResource):
    """The control plane, its key, its logs, and who may use it."""

    def __init__(
        self,
        naming: Naming,
        settings: ClusterSettings,
        *,
        network: Network,
        roles: Roles,
        caller: pulumi.Input[str],
        auto: bool,
        protect: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make it.

        Args:
            naming: How things are called.
            settings: Who may reach and use it.
            network: Where it is.
            roles: Of the control plane and of nodes.
            caller: ARN of the identity that Pulumi has at AWS.
            auto: Whether EKS brings nodes by itself.
            protect: Whether it has to stay.
            opts: Pulumi's.
        """
        super().__init__("sluice:infra:Cluster", naming.name("cluster"), None, opts)
        self._naming = naming
        self._within = pulumi.ResourceOptions(parent=self)
        key = kms.Key(
            naming.name("secrets"),
            description=f"Secrets in the cluster {naming.prefix}",
            enable_key_rotation=True,
            deletion_window_in_days=30 if protect else 7,
            tags=naming.tags("secrets"),
            opts=self._within,
        )
        # Created before EKS creates it, which would never expire the logs.
        logs = cloudwatch.LogGroup(
            naming.name("control-plane"),
            name=f"/aws/eks/{naming.prefix}/cluster",
            retention_in_days=settings.log_days,
            tags=naming.tags("control-plane"),
            opts=self._within,
        )
        self.eks = eks.Cluster(
            naming.name("cluster"),
            name=naming.prefix,
            version=versions.KUBERNETES,
            role_arn=roles.cluster_arn,
            access_config=eks.ClusterAccessConfigArgs(
                authentication_mode="API",
                bootstrap_cluster_creator_admin_permissions=pulumi.Output.from_input(caller).apply(
                    lambda arn: creator_is_admin(arn, settings.admins)
                ),
            ),
            vpc_config=eks.ClusterVpcConfigArgs(
                subnet_ids=network.private_subnet_ids,
                endpoint_private_access=True,
                endpoint_public_access=bool(settings.public_cidrs),
                public_access_cidrs=[str(cidr) for cidr in settings.public_cidrs] or None,
            ),
            encryption_config=eks.ClusterEncryptionConfigArgs(
                provider=eks.ClusterEncryptionConfigProviderArgs(key_arn=key.arn),
                resources=["secrets"],
            ),
            enabled_cluster_log_types=list(LOGS),
            upgrade_policy=eks.ClusterUpgradePolicyArgs(support_type="STANDARD"),
            deletion_protection=protect,
            # Add-ons are ours to choose; Auto Mode has its own.
            bootstrap_self_managed_addons=False,
            compute_config=eks.ClusterComputeConfigArgs(
                enabled=True,
                # Not `system`: nothing of ours has to be on nodes of its own.
                node_pools=["general-purpose"],
                node_role_arn=roles.node_arn,
            )
            if auto
            else None,
            kubernetes_network_config=eks.ClusterKubernetesNetworkConfigArgs(
                elastic_load_balancing=eks.ClusterKubernetesNetworkConfigElasticLoadBalancingArgs(
                    enabled=True
                )
                if auto
                else None,
                service_ipv4_cidr=str(SERVICES),
            ),
            storage_config=eks.ClusterStorageConfigArgs(
                block_storage=eks.ClusterStorageConfigBlockStorageArgs(enabled=True)
            )
            if auto
            else None,
            tags=naming.tags("cluster"),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[logs, *roles.granted],
                # It is about the creation only; AWS would replace the cluster.
                ignore_changes=["accessConfig.bootstrapClusterCreatorAdminPermissions"],
            ),
        )
        self.let_in: list[pulumi.Resource] = []
        self._let_in("admin", settings.admins, rights="AmazonEKSClusterAdminPolicy")
        self._let_in("viewer", settings.viewers, rights="AmazonEKSViewPolicy")
        self.register_outputs({"name": self.eks.name})

    @property
    def security_group_id(self) -> pulumi.Output[str]:
        """The security group of control plane and nodes, which EKS makes."""
        return self.eks.vpc_config.apply(lambda config: config.cluster_security_group_id or "")

    def _let_in(self, kind: str, principals: Sequence[str], *, rights: str) -> None:
        for index, principal in enumerate(principals):
            name = self._naming.name(f"{kind}-{index}")
            entry = eks.AccessEntry(
                name,
                cluster_name=self.eks.name,
                principal_arn=principal,
                tags=self._naming.tags(f"{kind}-{index}"),
                opts=self._within,
            )
            granted = eks.AccessPolicyAssociation(
                name,
                cluster_name=self.eks.name,
                principal_arn=principal,
                policy_arn=f"{_ACCESS}/{rights}",
                access_scope=eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[entry]),
            )
            self.let_in.append(granted)


def creator_is_admin(caller: str, admins: Sequence[str]) -> bool:
    """Return whether EKS makes the cluster's creator an admin: where nobody else is named.

    Args:
        caller: ARN of the identity that Pulumi has at AWS, of a user or of a role's session.
        admins: ARNs of the admins.

    Raises:
        SettingsError: there are admins, and the caller is not among them, so that Pulumi could not
            install Argo CD.
    """
    if not admins:
        return True
    if not any(_is_the_same(caller, admin) for admin in admins):
        raise SettingsError(
            f"sluice:cluster.admins: Pulumi's identity is not among them, so it could not install "
            f"Argo CD: add the role or user of {caller}"
        )
    return False


def _is_the_same(caller: str, admin: str) -> bool:
    """Compare by account and name; a session's ARN lacks the path of its role."""
    session = re.fullmatch(r"arn:[\w-]+:sts::(\d+):assumed-role/([^/]+)/.*", caller)
    role = re.fullmatch(r"arn:[\w-]+:iam::(\d+):role/(?:.*/)?([^/]+)", admin)
    return caller == admin or bool(session and role and session.groups() == role.groups())


def kubeconfig_of(*, name: str, endpoint: str, authority: str, region: str) -> str:
    """Return a kubeconfig that asks the `aws` command for a token."""
    user = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "aws",
        "args": ["eks", "get-token", "--cluster-name", name, "--region", region],
        "interactiveMode": "Never",
    }
    cluster = {"server": endpoint, "certificate-authority-data": authority}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": {"exec": user}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
    )
