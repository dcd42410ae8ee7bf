"""The settings of a stack, typed and checked before anything is made.

Keys are those of ``Pulumi.<stack>.yaml`` below ``sluice:``, in camelCase.
"""

import datetime as dt
import ipaddress
import json
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    Field,
    IPvAnyNetwork,
    StringConstraints,
    ValidationError,
    model_validator,
)

from sluice_infra.database_settings import DatabaseSettings
from sluice_infra.node_settings import NodeSettings
from sluice_infra.settings_group import Group, Text

NAMESPACE = "sluice"
SECRETS = frozenset({"repositoryPassword"})
"""Keys that Pulumi encrypts; they are read where they are used."""

Arn = Annotated[str, StringConstraints(pattern=r"^arn:aws[a-z-]*:")]
AccountId = Annotated[str, StringConstraints(pattern=r"^\d{12}$")]
Zone = Annotated[str, StringConstraints(pattern=r"^[a-f]$")]
AddOn = Literal[
    "aws-ebs-csi-driver",
    "coredns",
    "eks-pod-identity-agent",
    "kube-proxy",
    "metrics-server",
    "vpc-cni",
]
AddOnVersion = Annotated[str, StringConstraints(pattern=r"^v\d+\.\d+\.\d+-eksbuild\.\d+$")]
Door = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Domain = Annotated[str, StringConstraints(pattern=r"^([a-z0-9-]+\.)+[a-z]{2,}$")]


class SettingsError(ValueError):
    """A stack's settings are wrong; the message names each key."""


class NetworkSettings(Group):
    """The VPC."""

    cidr: IPvAnyNetwork = Field(
        ipaddress.IPv4Network("10.0.0.0/16"), description="Its addresses, /16 to /20."
    )
    zones: tuple[Zone, Zone, Zone] = Field(
        ("a", "b", "c"), description="Letters of three zones that offer EKS."
    )
    nat: Literal["single", "perZone"] = Field("single", description="NAT gateways.")
    interface_endpoints: tuple[Text, ...] = Field(
        (), description="AWS services with an endpoint, reached without NAT, as in `ecr.api`."
    )

    @model_validator(mode="after")
    def _fits(self) -> "NetworkSettings":
        if self.cidr.version != 4 or not 16 <= self.cidr.prefixlen <= 20:  # noqa: PLR2004
            raise ValueError("cidr has to be an IPv4 network from /16 to /20")
        if len(set(self.zones)) != len(self.zones):
            raise ValueError("zones have to differ")
        return self


class ClusterSettings(Group):
    """EKS' control plane. It always has a private endpoint."""

    public_cidrs: tuple[IPvAnyNetwork, ...] = Field(
        (), description="Networks that may reach the API from outside; none: the VPC only."
    )
    allow_any_cidr: bool = Field(default=False, description="Confirm 0.0.0.0/0 in publicCidrs.")
    public_until: dt.date | None = Field(
        None, description="The last day of publicCidrs in prod, at most a week ahead."
    )
    admins: tuple[Arn, ...] = Field(
        (),
        description="IAM roles and users with all rights, yours among them; none: its creator.",
    )
    viewers: tuple[Arn, ...] = Field((), description="IAM principals with read rights.")
    addon_versions: Mapping[AddOn, AddOnVersion] = Field(
        default={},
        description="Versions of EKS add-ons; of others, what EKS takes when it makes them.",
    )
    log_days: Literal[1, 7, 30, 90, 365] = Field(30, description="Days to keep its logs.")

    @model_validator(mode="after")
    def _any_is_meant(self) -> "ClusterSettings":
        if any(cidr.prefixlen == 0 for cidr in self.public_cidrs) and not self.allow_any_cidr:
            raise ValueError("publicCidrs lets everybody in: name networks, or set allowAnyCidr")
        return self


class IamSettings(Group):
    """Rights."""

    existing_role_arn: Arn | None = Field(
        None, description="Use this role everywhere and make no other, for AWS Academy."
    )


class KafkaSettings(Group):
    """Kafka: Strimzi in the cluster, or MSK."""

    mode: Literal["strimzi", "msk"] = Field("strimzi", description="What runs it.")
    snapshot_hours: Literal[1, 2, 3, 4, 6, 8, 12, 24] | None = Field(
        None,
        description="Hours from snapshot to snapshot of Strimzi's volumes; none: no snapshots.",
    )
    snapshots_kept: int = Field(
        24, ge=1, le=1000, description="How many snapshots of each volume are kept."
    )
    instance: Text = Field("kafka.m7g.large", description="Instance type of MSK's 3 brokers.")
    disk_gib: int = Field(100, ge=10, le=16384, description="Each broker's disk in MSK.")
    doors: tuple[Door, ...] = Field(
        (),
        description="Names of doors, of whose topics MSK lets the services make and use those with "
        "default names; as `kafka.doors` of helm/sluice.",
    )
    controls_topic: Text | None = Field(
        None,
        description="Topic of records that pause tenants and workflows, at MSK; as "
        "`kafka.controlsTopic` of helm/sluice.",
    )


class DnsSettings(Group):
    """A domain and a certificate."""

    domain: Domain = Field(description="Sluice's domain; the certificate covers its hosts too.")
    zone_id: Text | None = Field(
        None, description="An existing hosted zone; otherwise one is made."
    )
    delegated: bool = Field(
        default=False,
        description="The parent domain delegates to the zone: wait for the certificate.",
    )

    @property
    def is_issued(self) -> bool:
        """Whether the certificate is issued: the world sees the zone, so AWS sees the proof."""
        return self.delegated or self.zone_id is not None


class ArtifactSettings(Group):
    """The bucket of Workflows' artifacts."""

    expire_days: int = Field(30, ge=1, description="Days to keep an artifact.")
    versioned: bool = Field(default=False, description="Keep overwritten artifacts for a week.")


class RegistrySettings(Group):
    """ECR. One stack makes the repositories; stacks in the same or other accounts use them."""

    create: bool = Field(default=True, description="Make the repositories.")
    readers: tuple[AccountId, ...] = Field((), description="Other accounts that may pull images.")
    account: AccountId | None = Field(
        None, description="The account of the repositories, if it is another."
    )
    region: Text | None = Field(None, description="Their region, if it is another.")

    @model_validator(mode="after")
    def _made_or_used(self) -> "RegistrySettings":
        if self.create and (self.account or self.region):
            raise ValueError("create makes repositories here: account and region need create false")
        if self.readers and not self.create:
            raise ValueError("readers belong to the stack that makes the repositories")
        return self


class GitHubSettings(Group):
    """A role for GitHub's workflows."""

    repository: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z0-9-]+(@\d+)?/[A-Za-z0-9._-]+(@\d+)?$")
    ] = Field(
        description="`owner/repository`, whose main branch pushes images; with numbers, as in "
        "`owner@1/repository@2`, if the subject of its tokens has them."
    )
    create_provider: bool = Field(
        default=True, description="Make the account's OIDC provider; an account has only one."
    )


class BudgetSettings(Group):
    """An alarm about the account's costs."""

    monthly_dollars: int = Field(ge=1, description="Expected costs of the account in a month.")
    emails: tuple[Text, ...] = Field(min_length=1, description="Addresses that get the alarm.")


class ArgoCdSettings(Group):
    """Argo CD, which does the rest."""

    repository: Text | None = Field(None, description="Git repository instead of root.yaml's.")
    revision: Text | None = Field(None, description="Its branch, tag or commit.")
    values: tuple[Text, ...] = Field(
        ("../argocd/argo-cd.yaml",), description="Value files of the chart; later ones win."
    )
    root: Text = Field("../argocd/root.yaml", description="The root Application.")


class Settings(Group):
    """All settings of a stack."""

    environment: Literal["dev", "staging", "prod"] = Field(
        description="The folder in argocd/environments."
    )
    owner: Text = Field(description="The owner, a tag of every resource.")
    protect: bool = Field(default=False, description="Refuse to destroy what cannot be recreated.")
    network: NetworkSettings = NetworkSettings()
    cluster: ClusterSettings = ClusterSettings()
    nodes: NodeSettings = NodeSettings()
    iam: IamSettings = IamSettings()
    kafka: KafkaSettings = KafkaSettings()
    database: DatabaseSettings | None = Field(
        None, description="Nothing: each gateway has a file of its own."
    )
    dns: DnsSettings | None = Field(None, description="Nothing: no domain.")
    artifacts: ArtifactSettings = ArtifactSettings()
    registry: RegistrySettings = RegistrySettings()
    github: GitHubSettings | None = Field(None, description="Nothing: no role for GitHub.")
    budget: BudgetSettings | None = Field(None, description="Nothing: no alarm.")
    argocd: ArgoCdSettings = ArgoCdSettings()

    @model_validator(mode="after")
    def _belongs_together(self) -> "Settings":
        if self.environment == "prod" and not self.protect:
            raise ValueError("environment prod needs protect")
        if self.environment in ("staging", "prod") and not self.cluster.admins:
            raise ValueError(
                f"environment {self.environment} needs cluster.admins: ARNs of the IAM roles or "
                "users with all rights in the cluster, yours among them"
            )
        if (
            self.environment == "prod"
            and self.cluster.public_cidrs
            and not self.cluster.public_until
        ):
            raise ValueError("environment prod has cluster.publicCidrs only with publicUntil")
        if self.iam.existing_role_arn and (self.nodes.mode == "auto" or self.kafka.mode == "msk"):
            raise ValueError("iam.existingRoleArn has no rights for Auto Mode or MSK of its own")
        if self.iam.existing_role_arn and self.database and self.database.authentication == "iam":
            raise ValueError(
                "database.authentication iam needs a role of the gateway's own, which "
                "iam.existingRoleArn rules out: choose password"
            )
        if self.github and self.iam.existing_role_arn:
            raise ValueError("github needs a role of its own, which iam.existingRoleArn rules out")
        if self.github and not self.registry.create:
            raise ValueError("github belongs to the stack with registry.create")
        if self.kafka.snapshot_hours and (self.iam.existing_role_arn or self.kafka.mode == "msk"):
            raise ValueError("kafka.snapshotHours is for Strimzi's volumes, by a role of our own")
        if self.nodes.mode == "managed" and self.dns:
            raise ValueError("dns needs nodes.mode auto, whose controller makes load balancers")
        return self


def read_settings(config: Mapping[str, object]) -> Settings:
    """Check the configuration of a stack, by full keys as in ``sluice:network``.

    Values are as Pulumi hands them over, objects as JSON.

    Raises:
        SettingsError: with every wrong key, the value's fault, and what there is instead.
    """
    prefix = f"{NAMESPACE}:"
    given = {
        name: _decoded(value)
        for key, value in config.items()
        if key.startswith(prefix) and (name := key.removeprefix(prefix)) not in SECRETS
    }
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        lines = [_line(fault["loc"], fault["msg"]) for fault in error.errors()]
        raise SettingsError("\n".join(["The stack's settings are wrong.", *lines])) from None


def _decoded(value: object) -> object:
    if isinstance(value, str) and (value.startswith(("{", "[")) or value in ("true", "false")):
        decoded: object = json.loads(value)
        return decoded
    return value


def _line(place: tuple[int | str, ...], fault: str) -> str:
    key = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in place)
    return f"  {NAMESPACE}:{key.removeprefix('.')}: {fault.removeprefix('Value error, ')}"
