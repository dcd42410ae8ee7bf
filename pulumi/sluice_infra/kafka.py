"""Kafka by MSK, instead of Strimzi in the cluster."""

import pulumi
from pulumi_aws import cloudwatch, ec2, kms, msk

from sluice_infra import versions
from sluice_infra.naming import Naming
from sluice_infra.network import Network
from sluice_infra.settings import KafkaSettings

IAM_PORT = 9098
BROKERS = 3
PROPERTIES = {
    "auto.create.topics.enable": "false",
    "default.replication.factor": "3",
    # Two of three have a record before it counts as written.
    "min.insync.replicas": "2",
    "unclean.leader.election.enable": "false",
}


class ManagedKafka(pulumi.ComponentResource):
    """Three brokers in three zones, by TLS and IAM alone, from the cluster's nodes alone."""

    def __init__(
        self,
        naming: Naming,
        settings: KafkaSettings,
        *,
        network: Network,
        clients: pulumi.Input[str],
        protect: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("sluice:infra:ManagedKafka", naming.name("kafka"), None, opts)
        name = naming.name("kafka")
        tags = naming.tags("kafka")
        within = pulumi.ResourceOptions(parent=self)
        key = kms.Key(
            name,
            description=f"Records in {name}",
            enable_key_rotation=True,
            deletion_window_in_days=30 if protect else 7,
            tags=tags,
            opts=within,
        )
        group = ec2.SecurityGroup(
            name,
            description="Kafka, from the cluster",
            vpc_id=network.vpc.id,
            ingress=[
                ec2.SecurityGroupIngressArgs(
                    protocol="tcp",
                    from_port=IAM_PORT,
                    to_port=IAM_PORT,
                    security_groups=[clients],
                )
            ],
            tags=tags,
            opts=within,
        )
        logs = cloudwatch.LogGroup(
            name, name=f"/aws/msk/{name}", retention_in_days=30, tags=tags, opts=within
        )
        configuration = msk.Configuration(
            name,
            name=name,
            kafka_versions=[versions.KAFKA],
            server_properties="".join(f"{key}={value}\n" for key, value in PROPERTIES.items()),
            opts=within,
        )
        cluster = msk.Cluster(
            name,
            cluster_name=name,
            kafka_version=versions.KAFKA,
            number_of_broker_nodes=BROKERS,
            broker_node_group_info=msk.ClusterBrokerNodeGroupInfoArgs(
                instance_type=settings.instance,
                client_subnets=network.private_subnet_ids,
                security_groups=[group.id],
                storage_info=msk.ClusterBrokerNodeGroupInfoStorageInfoArgs(
                    ebs_storage_info=msk.ClusterBrokerNodeGroupInfoStorageInfoEbsStorageInfoArgs(
                        volume_size=settings.disk_gib
                    )
                ),
            ),
            client_authentication=msk.ClusterClientAuthenticationArgs(
                sasl=msk.ClusterClientAuthenticationSaslArgs(iam=True), unauthenticated=False
            ),
            encryption_info=msk.ClusterEncryptionInfoArgs(
                encryption_at_rest_kms_key_arn=key.arn,
                encryption_in_transit=msk.ClusterEncryptionInfoEncryptionInTransitArgs(
                    client_broker="TLS", in_cluster=True
                ),
            ),
            configuration_info=msk.ClusterConfigurationInfoArgs(
                arn=configuration.arn, revision=configuration.latest_revision
            ),
            logging_info=msk.ClusterLoggingInfoArgs(
                broker_logs=msk.ClusterLoggingInfoBrokerLogsArgs(
                    cloudwatch_logs=msk.ClusterLoggingInfoBrokerLogsCloudwatchLogsArgs(
                        enabled=True, log_group=logs.name
                    )
                )
            ),
            tags=tags,
            opts=within,
        )
        self.arn = cluster.arn
        self.doors = settings.doors
        self.controls_topic = settings.controls_topic
        self.bootstrap = cluster.bootstrap_brokers_sasl_iam
        self.register_outputs({"bootstrap": self.bootstrap})
