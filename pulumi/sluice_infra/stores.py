"""What a stack may have outside of the cluster to keep state in: Kafka by MSK, and a database."""

from dataclasses import dataclass

import pulumi

from sluice_infra.cluster import Cluster
from sluice_infra.database import Database
from sluice_infra.kafka import ManagedKafka
from sluice_infra.naming import Naming
from sluice_infra.network import Network
from sluice_infra.places import Annotations
from sluice_infra.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Stores:
    """Those that a stack has. Only nodes of the cluster reach them."""

    kafka: ManagedKafka | None
    database: Database | None
    facts: dict[str, pulumi.Input[str]]
    """What Argo CD has to know about them."""


def stores(
    naming: Naming,
    settings: Settings,
    *,
    network: Network,
    cluster: Cluster,
    region: str,
    kept: pulumi.ResourceOptions,
) -> Stores:
    """Declare those that the settings ask for.

    Raises:
        SettingsError: a file that they name cannot be used.
    """
    kafka = database = None
    if settings.kafka.mode == "msk":
        kafka = ManagedKafka(
            naming,
            settings.kafka,
            network=network,
            clients=cluster.security_group_id,
            protect=settings.protect,
            opts=kept,
        )
    if settings.database:
        database = Database(
            naming,
            settings.database,
            network=network,
            clients=cluster.security_group_id,
            region=region,
            protect=settings.protect,
            opts=kept,
        )
    # Both have their addresses in the VPC's private subnets.
    networks = str(settings.network.cidr)
    facts: dict[str, pulumi.Input[str]] = {
        Annotations.KAFKA_MODE: settings.kafka.mode,
        Annotations.KAFKA_BOOTSTRAP: kafka.bootstrap if kafka else "",
        Annotations.KAFKA_CIDRS: networks if kafka else "",
    }
    if database:
        facts |= database.facts(networks=networks)
    return Stores(kafka=kafka, database=database, facts=facts)
