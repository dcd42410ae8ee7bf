"""Which workloads get an identity, and what for."""

from functools import partial

import pulumi

from sluice_infra import kafka_rights, places, rights
from sluice_infra.dns import Dns
from sluice_infra.identity import Workload
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
    dns: Dns | None,
    region: str,
    account: pulumi.Output[str],
    environment: str,
) -> list[Workload]:
    """Return everybody in the cluster, but for add-ons, who talks to AWS in this stack."""
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
            statements=account.apply(
                lambda number: rights.read_secrets(
                    region=region, account=number, environment=environment
                )
            ),
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
    if kafka:
        found += [
            Workload(
                name=service,
                account=places.account_of(service),
                statements=kafka.arn.apply(partial(kafka_rights.use_topics, service=service)),
            )
            for service in places.SERVICES
        ]
        found.append(
            Workload(
                name="keda",
                account=places.KEDA,
                statements=kafka.arn.apply(kafka_rights.watch_lag),
            )
        )
    return found
