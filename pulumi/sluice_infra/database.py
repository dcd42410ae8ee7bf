"""PostgreSQL by Amazon RDS, for the view of runs that all gateways share."""

import ssl
from pathlib import Path

import pulumi
from pulumi_aws import ec2, rds

from sluice_infra.database_settings import DatabaseSettings
from sluice_infra.naming import Naming
from sluice_infra.network import Network
from sluice_infra.places import DATABASE, DATABASE_USER, DatabaseAnnotations
from sluice_infra.settings import SettingsError

PORT = 5432


class Database(pulumi.ComponentResource):
    """One instance, by TLS alone, from the cluster's nodes alone. It holds nothing but Sluice's."""

    def __init__(
        self,
        naming: Naming,
        settings: DatabaseSettings,
        *,
        network: Network,
        clients: pulumi.Input[str],
        region: str,
        protect: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make it.

        Args:
            naming: How things are called.
            settings: How large and how safe it is.
            network: Where it is.
            clients: The security group of who may connect.
            region: The network's.
            protect: Whether it has to stay.
            opts: Pulumi's.

        Raises:
            SettingsError: the file with the certificate authorities cannot be used.
        """
        super().__init__("sluice:infra:Database", naming.name("database"), None, opts)
        authorities = read_authorities(settings.ca_file, region=region)
        name = naming.name("database")
        tags = naming.tags("database")
        within = pulumi.ResourceOptions(parent=self)
        group = ec2.SecurityGroup(
            name,
            description="PostgreSQL, from the cluster",
            vpc_id=network.vpc.id,
            ingress=[
                ec2.SecurityGroupIngressArgs(
                    protocol="tcp", from_port=PORT, to_port=PORT, security_groups=[clients]
                )
            ],
            tags=tags,
            opts=within,
        )
        subnets = rds.SubnetGroup(
            name,
            name=name,
            description="Private subnets",
            subnet_ids=network.private_subnet_ids,
            tags=tags,
            opts=within,
        )
        family = f"postgres{settings.engine_version}"
        # Another major version needs another group, which has to be there before this one goes.
        parameters = rds.ParameterGroup(
            f"{name}-{family}",
            name=f"{name}-{family}",
            family=family,
            description="TLS alone",
            parameters=[rds.ParameterGroupParameterArgs(name="rds.force_ssl", value="1")],
            tags=tags,
            opts=within,
        )
        instance = rds.Instance(
            name,
            identifier=name,
            engine="postgres",
            engine_version=settings.engine_version,
            # The version in the stack's file is meant.
            allow_major_version_upgrade=True,
            auto_minor_version_upgrade=True,
            # Extended support costs more. Without it, AWS upgrades a version at its end.
            engine_lifecycle_support="open-source-rds-extended-support-disabled",
            instance_class=settings.instance,
            storage_type="gp3",
            allocated_storage=settings.disk_gib,
            max_allocated_storage=settings.max_disk_gib,
            # By AWS' key: one of the stack's own would go with it, and the last snapshot be lost.
            storage_encrypted=True,
            db_name=DATABASE,
            username=DATABASE_USER,
            # In Secrets Manager, and neither in the stack's state nor known to anybody.
            manage_master_user_password=True,
            iam_database_authentication_enabled=settings.authentication == "iam",
            port=PORT,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[group.id],
            publicly_accessible=False,
            parameter_group_name=parameters.name,
            multi_az=settings.multi_az,
            backup_retention_period=settings.backup_days,
            copy_tags_to_snapshot=True,
            deletion_protection=protect,
            delete_automated_backups=not protect,
            skip_final_snapshot=not protect,
            final_snapshot_identifier=f"{name}-final" if protect else None,
            # What `up` says is done then. Meanwhile runs start, and cannot be read for minutes.
            apply_immediately=True,
            tags=tags,
            opts=within,
        )
        self.by_iam = settings.authentication == "iam"
        self.host = instance.address
        self.resource_id = instance.resource_id
        self.secret_arn = instance.master_user_secrets.apply(
            lambda secrets: secrets[0].secret_arn or ""
        )
        """Of the secret with the password."""
        self._is_usable = settings.is_usable
        self._authorities = authorities
        self.register_outputs({"host": self.host})

    def facts(self, *, networks: str) -> dict[str, pulumi.Input[str]]:
        """Return what Argo CD has to know, once the gateway can log in; nothing before.

        Args:
            networks: CIDRs of its addresses, separated by commas.
        """
        if not self._is_usable:
            return {}
        facts: dict[str, pulumi.Input[str]] = {
            DatabaseAnnotations.HOST: self.host,
            DatabaseAnnotations.CIDRS: networks,
            DatabaseAnnotations.CA: self._authorities,
        }
        if not self.by_iam:
            facts[DatabaseAnnotations.SECRET] = self.secret_arn
        return facts


def read_authorities(file: str, *, region: str) -> str:
    """Return the certificate authorities of RDS, in PEM.

    Args:
        file: Path of the file that has them.
        region: Of the database: each region has authorities of its own.

    Raises:
        SettingsError: the file cannot be read, or has something else.
    """
    key = "sluice:database.caFile"
    url = f"https://truststore.pki.rds.amazonaws.com/{region}/{region}-bundle.pem"
    fetch = f"Fetch them into the folder pulumi: curl --fail --output {file} {url}"
    try:
        text = Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SettingsError(f"{key}: {file} cannot be read: {reason}. {fetch}") from error
    if "PRIVATE KEY" in text:
        raise SettingsError(f"{key}: {file} has a private key, which does not belong there")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        raise SettingsError(f"{key}: {file} has no certificates in PEM. {fetch}") from error
    return text
