"""Which workloads get an identity, and what for."""

from collections.abc import Iterator
from functools import partial

import pulumi

from sluice_infra import kafka_rights, places, rights
from sluice_infra.database import Database
from sluice_infra.dns import Dns
from sluice_infra.identity import Statement, Workload
from sluice_infra.kafka import ManagedKafka
from sluice_infra.storage import ArtifactBucket

ADD_ONS = {
    "vpc-cni": Workload(
        name="vpc-cni", account=places.NETWORKING, kept_by_aws=("AmazonEKS_CNI_Policy",)
    ),
    "aws-ebs-csi-driver": Workload(
        name="aws-ebs-csi-driver",
        account=places.VOLUMES,
        kept_by_aws=("service-role/AmazonEBSCSIDriverPolicy",),
    ),
}
"""Add-ons that talk to AWS. Auto Mode has its own."""


def workloads(
    *,
    bucket: ArtifactBucket,
    kafka: ManagedKafka | None,
    database: Database | None,
    dns: Dns | None,
    region: str,
    account: pulumi.Output[str],
    environment: str,
) -> list[Workload]:
    """Return everybody in the cluster, but for add-ons, who talks to AWS in this stack."""
    secrets = [
        account.apply(
            lambda number: rights.read_secrets(
                region=region, account=number, environment=environment
            )
        )
    ]
    if database and not database.by_iam:
        secrets.append(database.secret_arn.apply(rights.read_secret))
    found = [
        Workload(
            name="executor",
            account=places.EXECUTOR,
            statements=bucket.arn.apply(rights.write_artifacts),
        ),
        Workload(
            name="argo-server",
            account=places.ARGO_SERVER,
            statements=bucket.arn.apply(rights.read_artifacts),
        ),
        Workload(
            name="external-secrets",
            account=places.EXTERNAL_SECRETS,
            statements=_together(secrets),
        ),
    ]
    if dns:
        found.append(
            Workload(
                name="external-dns",
                account=places.EXTERNAL_DNS,
                statements=dns.zone_arn.apply(rights.change_records),
            )
        )
    found += _services(kafka=kafka, database=database, region=region, account=account)
    if kafka:
        found.append(
            Workload(
                name="keda",
                account=places.KEDA,
                statements=kafka.arn.apply(partial(kafka_rights.watch_lag, doors=kafka.doors)),
            )
        )
    return found


def _services(
    *,
    kafka: ManagedKafka | None,
    database: Database | None,
    region: str,
    account: pulumi.Output[str],
) -> Iterator[Workload]:
    """Give each of Sluice's services that talks to AWS."""
    uses = kafka_rights.USES_WITH_DATABASE if database else kafka_rights.USES
    for service in places.SERVICES:
        granted: list[pulumi.Output[list[Statement]]] = []
        if kafka:
            used = uses[service].with_doors(kafka.doors)
            if kafka.controls_topic and service in ("gateway", "dispatcher"):
                used = used.with_topic(
                    kafka.controls_topic, reads=True, writes=service == "gateway"
                )
            granted.append(kafka.arn.apply(partial(kafka_rights.use_topics, uses=used)))
        if database and database.by_iam and service == "gateway":
            granted.append(_entering(database, region=region, account=account))
        if granted:
            yield Workload(
                name=service, account=places.account_of(service), statements=_together(granted)
            )


def _entering(
    database: Database, *, region: str, account: pulumi.Output[str]
) -> pulumi.Output[list[Statement]]:
    """Return the rights of the gateway, at its database."""
    return pulumi.Output.all(account, database.resource_id).apply(
        lambda known: rights.enter_database(
            region=region, account=known[0], database=known[1], user=places.DATABASE_USER
        )
    )


def _together(parts: list[pulumi.Output[list[Statement]]]) -> pulumi.Output[list[Statement]]:
    return pulumi.Output.all(*parts).apply(
        lambda known: [statement for part in known for statement in part]
    )
