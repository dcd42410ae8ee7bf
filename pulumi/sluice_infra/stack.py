"""A whole stack: what stands on what."""

from dataclasses import dataclass

import pulumi
from pulumi_aws.get_caller_identity import get_caller_identity_output

from sluice_infra import addons
from sluice_infra.addons import AddOns
from sluice_infra.argocd import ArgoCd, read_root
from sluice_infra.budget import alarm
from sluice_infra.cluster import API_SERVER_SERVICE, DNS_SERVICE, Cluster, kubeconfig_of
from sluice_infra.cluster_objects import ClusterObjects
from sluice_infra.database import Database
from sluice_infra.dns import Dns
from sluice_infra.github import GitHub
from sluice_infra.identity import Identity
from sluice_infra.naming import Naming
from sluice_infra.network import Network
from sluice_infra.nodes import NodeGroups
from sluice_infra.placeholders import refuse_placeholders
from sluice_infra.places import ARGO_CD, Annotations
from sluice_infra.registry import Registry
from sluice_infra.roles import Roles
from sluice_infra.settings import RegistrySettings, Settings
from sluice_infra.snapshots import Snapshots
from sluice_infra.storage import ArtifactBucket
from sluice_infra.stores import stores
from sluice_infra.workloads import ADD_ONS, workloads


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where at AWS a stack is."""

    region: str
    account: pulumi.Output[str]
    caller: pulumi.Output[str]
    """ARN of the identity that Pulumi has there."""

    def registry(self, settings: RegistrySettings) -> pulumi.Output[str]:
        """Return the host of the registry of images: this account's, unless another is chosen."""
        return pulumi.Output.concat(
            settings.account or self.account,
            f".dkr.ecr.{settings.region or self.region}.amazonaws.com",
        )


def here() -> Place:
    """Return where the configuration and the credentials lead to."""
    region = pulumi.Config("aws").require("region")
    identity = get_caller_identity_output()
    return Place(region=region, account=identity.account_id, caller=identity.arn)


def build(
    settings: Settings, *, stack: str, place: Place, password: pulumi.Output[str] | None
) -> dict[str, pulumi.Input[object]]:
    """Declare everything, and return the stack's outputs.

    Raises:
        SettingsError: something still has to be replaced, or a file is not there.
    """
    root = read_root(settings.argocd, environment=settings.environment)
    refuse_placeholders(settings, repository=root["spec"]["source"]["repoURL"])
    if settings.cluster.public_until:
        pulumi.log.warn(
            f"The API has a public endpoint, allowed until {settings.cluster.public_until}. "
            "Remove publicCidrs and publicUntil from sluice:cluster before that."
        )
    naming = Naming(
        stack=stack,
        environment=settings.environment,
        owner=settings.owner,
        region=place.region,
    )
    auto = settings.nodes.mode == "auto"
    existing_role = settings.iam.existing_role_arn

    # Whatever belongs to a component is protected with it.
    kept = pulumi.ResourceOptions(protect=settings.protect)
    network = Network(
        naming, settings.network, region=place.region, cluster_name=naming.prefix, opts=kept
    )
    snapshot_hours = settings.kafka.snapshot_hours
    roles = Roles(
        naming,
        existing=existing_role,
        auto=auto,
        tags_volumes=snapshot_hours is not None,
        opts=kept,
    )
    cluster = Cluster(
        naming,
        settings.cluster,
        network=network,
        roles=roles,
        caller=place.caller,
        auto=auto,
        protect=settings.protect,
        opts=kept,
    )
    ready = _compute(naming, settings, cluster=cluster, network=network, roles=roles, kept=kept)
    bucket = ArtifactBucket(
        naming, settings.artifacts, account=place.account, protect=settings.protect, opts=kept
    )
    github = None
    if settings.registry.create:
        repositories = Registry(naming, settings.registry, opts=kept).arns
        if settings.github:
            github = GitHub(
                naming,
                settings.github,
                repositories=repositories,
                account=place.account,
                opts=kept,
            )
    if settings.budget:
        alarm(naming, settings.budget, opts=kept)
    dns = Dns(naming, settings.dns, opts=kept) if settings.dns else None
    state = stores(
        naming, settings, network=network, cluster=cluster, region=place.region, kept=kept
    )
    if snapshot_hours:
        Snapshots(naming, hours=snapshot_hours, kept=settings.kafka.snapshots_kept, opts=kept)
    identities: list[pulumi.Resource] = []
    if not existing_role:
        identities = [
            Identity(naming, workload, cluster=cluster, opts=kept)
            for workload in workloads(
                bucket=bucket,
                kafka=state.kafka,
                database=state.database,
                dns=dns,
                region=place.region,
                account=place.account,
                environment=settings.environment,
            )
        ]

    registry = place.registry(settings.registry)
    facts: dict[str, pulumi.Input[str]] = {
        Annotations.REGION: place.region,
        Annotations.ACCOUNT: place.account,
        Annotations.VPC_ID: network.vpc.id,
        Annotations.CLUSTER_NAME: cluster.eks.name,
        Annotations.ARTIFACT_BUCKET: bucket.name,
        Annotations.REGISTRY: registry,
        # The control plane has its addresses in the VPC's private subnets.
        Annotations.API_SERVER_CIDRS: f"{settings.network.cidr},{API_SERVER_SERVICE}/32",
        Annotations.DNS_CIDRS: f"{DNS_SERVICE}/32",
        **_names(dns),
        **state.facts,
    }
    ArgoCd(
        naming,
        settings.argocd,
        root=root,
        kubeconfig=_kubeconfig(cluster, region=place.region),
        facts=facts,
        objects=ClusterObjects(
            node_pool=settings.nodes.node_pool if auto else None,
            snapshots=snapshot_hours is not None,
        ),
        password=password,
        # A pod learns who it is when it is made, so before anybody makes some.
        after=[*ready, *identities, *cluster.let_in],
        opts=kept,
    )
    return {
        "clusterName": cluster.eks.name,
        "kubeconfigCommand": f"aws eks update-kubeconfig --region {place.region} "
        f"--name {naming.prefix}",
        "argocdPasswordCommand": f"kubectl --namespace {ARGO_CD} get secret "
        "argocd-initial-admin-secret --output=jsonpath={.data.password} | base64 --decode",
        "registry": registry,
        "artifactBucket": bucket.name,
        "kafkaBootstrap": facts[Annotations.KAFKA_BOOTSTRAP],
        **_more_outputs(database=state.database, github=github, dns=dns),
    }


def _more_outputs(
    *, database: Database | None, github: GitHub | None, dns: Dns | None
) -> dict[str, pulumi.Input[object]]:
    """Return the outputs about what not every stack has."""
    outputs: dict[str, pulumi.Input[object]] = {}
    if database:
        outputs["databaseHost"] = database.host
        outputs["databaseSecretArn"] = database.secret_arn
    if github:
        outputs["githubRoleArn"] = github.role_arn
    if dns and dns.name_servers is not None:
        outputs["nameServers"] = dns.name_servers
    return outputs


def _names(dns: Dns | None) -> dict[str, pulumi.Input[str]]:
    """Return the facts about the domain; the gateway gets it once the certificate is issued.

    A load balancer refuses a certificate that is not issued, and its Ingress would never be ready.
    """
    issued = dns if dns and dns.is_issued else None
    return {
        Annotations.ZONE: dns.domain if dns else "",
        Annotations.DOMAIN: issued.domain if issued else "",
        Annotations.CERTIFICATE_ARN: issued.certificate_arn if issued else "",
    }


def _compute(
    naming: Naming,
    settings: Settings,
    *,
    cluster: Cluster,
    network: Network,
    roles: Roles,
    kept: pulumi.ResourceOptions,
) -> list[pulumi.Resource]:
    """Declare what runs pods, and return what has to be there before pods can run."""
    if settings.nodes.mode == "auto":
        return [
            *AddOns(
                naming,
                "more",
                addons.WITH_AUTO_MODE,
                cluster=cluster,
                versions=settings.cluster.addon_versions,
                role_arns={},
                after=[cluster.eks],
                opts=kept,
            ).installed
        ]
    role_arns: dict[str, pulumi.Input[str]] = {}
    if not settings.iam.existing_role_arn:
        role_arns = {
            name: Identity(naming, workload, cluster=cluster, associate=False, opts=kept).role_arn
            for name, workload in ADD_ONS.items()
        }
    before = AddOns(
        naming,
        "before",
        addons.BEFORE_NODES,
        cluster=cluster,
        versions=settings.cluster.addon_versions,
        role_arns=role_arns,
        after=[cluster.eks],
        opts=kept,
    )
    nodes = NodeGroups(
        naming,
        settings.nodes,
        cluster=cluster,
        network=network,
        roles=roles,
        pods_are_the_node=bool(settings.iam.existing_role_arn),
        after=[*before.installed],
        opts=kept,
    )
    behind = AddOns(
        naming,
        "after",
        addons.AFTER_NODES,
        cluster=cluster,
        versions=settings.cluster.addon_versions,
        role_arns=role_arns,
        after=[*nodes.groups],
        opts=kept,
    )
    return [*nodes.groups, *behind.installed]


def _kubeconfig(cluster: Cluster, *, region: str) -> pulumi.Output[str]:
    authority = cluster.eks.certificate_authority.apply(lambda found: found.data)
    known = pulumi.Output.all(cluster.eks.name, cluster.eks.endpoint, authority)
    return known.apply(
        lambda all_: kubeconfig_of(name=all_[0], endpoint=all_[1], authority=all_[2], region=region)
    )
