"""Artifacts, images, Kafka by MSK, names and certificates."""

import json

import pytest

from sluice_infra.kafka import PROPERTIES
from sluice_infra.registry import REPOSITORIES
from tests.pulumi.declared import STACKS, Declare, ours

MSK = {"kafka": {"mode": "msk"}}


@pytest.mark.parametrize("stack", STACKS)
def test_the_bucket_is_closed_encrypted_and_spoken_to_by_tls(declare: Declare, stack: str) -> None:
    declared = declare(stack)
    region = ours(stack)["aws:region"]
    bucket = f"sluice-{stack}-{region}-artifacts-111122223333"
    assert declared.one("s3/bucket:Bucket")["bucket"] == bucket
    closed = dict(declared.one("s3/bucketPublicAccessBlock:BucketPublicAccessBlock"))
    closed.pop("bucket")
    assert set(closed.values()) == {True}
    [rule] = declared.one(
        "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    )["rules"]
    assert rule["applyServerSideEncryptionByDefault"]["sseAlgorithm"] == "AES256"
    [statement] = json.loads(declared.one("s3/bucketPolicy:BucketPolicy")["policy"])["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_artifacts_expire_and_so_do_their_rests(declare: Declare) -> None:
    lifecycle = declare("dev", {"artifacts.expireDays": 3}).one(
        "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    )
    [rule] = lifecycle["rules"]
    assert rule["expiration"] == {"days": 3}
    assert rule["noncurrentVersionExpiration"] == {"noncurrentDays": 7}
    assert rule["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 1}


@pytest.mark.parametrize(("versioned", "status"), [(True, "Enabled"), (False, "Suspended")])
def test_overwritten_objects_are_kept_by_choice(
    declare: Declare, versioned: bool, status: str
) -> None:
    versioning = declare("dev", {"artifacts.versioned": versioned}).one(
        "s3/bucketVersioning:BucketVersioning"
    )
    assert versioning["versioningConfiguration"] == {"status": status}


def test_a_full_bucket_goes_only_where_nothing_is_kept(declare: Declare) -> None:
    assert declare("dev").one("s3/bucket:Bucket")["forceDestroy"] is True
    assert declare("prod").one("s3/bucket:Bucket")["forceDestroy"] is False


def test_there_is_a_repository_for_each_image_whose_tags_stay(declare: Declare) -> None:
    repositories = declare("dev").of("ecr/repository:Repository")
    assert {each["name"] for each in repositories.values()} == set(REPOSITORIES)
    for repository in repositories.values():
        assert repository["imageTagMutability"] == "IMMUTABLE"
        assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
        assert "forceDelete" not in repository


def test_no_image_expires(declare: Declare) -> None:
    """An environment may run the oldest one."""
    assert declare("dev").of("ecr/lifecyclePolicy:LifecyclePolicy") == {}


def test_other_accounts_pull_when_they_are_named_and_never_push(declare: Declare) -> None:
    assert declare("dev").of("ecr/repositoryPolicy:RepositoryPolicy") == {}
    policies = declare("dev", {"registry": {"readers": ["444455556666"]}}).of(
        "ecr/repositoryPolicy:RepositoryPolicy"
    )
    assert set(policies) == set(REPOSITORIES)
    for policy in policies.values():
        [statement] = json.loads(policy["policy"])["Statement"]
        assert statement["Principal"] == {"AWS": ["arn:aws:iam::444455556666:root"]}
        assert set(statement["Action"]) == {
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:GetDownloadUrlForLayer",
        }


def test_a_registry_can_be_another_account_s(declare: Declare) -> None:
    elsewhere = {"registry.account": "444455556666", "registry.region": "eu-west-1"}
    declared = declare("prod", elsewhere)
    registry = "444455556666.dkr.ecr.eu-west-1.amazonaws.com"
    assert declared.outputs["registry"] == registry
    annotations = declared.one("Secret")["metadata"]["annotations"]
    assert annotations["sluice.dev/registry"] == registry
    assert annotations["sluice.dev/account"] == "111122223333"


@pytest.mark.parametrize("mode", [{}, {"nodes": {"mode": "auto"}}], ids=["managed", "auto"])
def test_nodes_may_pull_from_any_registry_that_lets_them(
    declare: Declare, mode: dict[str, object]
) -> None:
    attached = declare("dev", mode).of("iam/rolePolicyAttachment:RolePolicyAttachment")
    # AWS' policy names all repositories; those of other accounts have to agree.
    name = "sluice-dev-node-AmazonEC2ContainerRegistryPullOnly"
    assert attached[name]["policyArn"].endswith("/AmazonEC2ContainerRegistryPullOnly")


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_others_take_the_images_from_the_account_s_registry(declare: Declare, stack: str) -> None:
    declared = declare(stack)
    assert declared.of("ecr/repository:Repository") == {}
    assert declared.outputs["registry"] == "111122223333.dkr.ecr.eu-central-1.amazonaws.com"


@pytest.mark.parametrize("stack", STACKS)
def test_kafka_is_strimzi_s_unless_said(declare: Declare, stack: str) -> None:
    assert declare(stack).of("msk/cluster:Cluster") == {}


def test_msk_is_three_brokers_by_iam_and_tls_alone(declare: Declare) -> None:
    declared = declare("dev", MSK)
    cluster = declared.one("msk/cluster:Cluster")
    assert cluster["numberOfBrokerNodes"] == 3
    assert len(cluster["brokerNodeGroupInfo"]["clientSubnets"]) == 3
    assert cluster["clientAuthentication"] == {"sasl": {"iam": True}, "unauthenticated": False}
    assert cluster["encryptionInfo"]["encryptionInTransit"] == {
        "clientBroker": "TLS",
        "inCluster": True,
    }
    assert cluster["encryptionInfo"]["encryptionAtRestKmsKeyArn"].startswith("arn:aws:kms:")
    assert declared.outputs["kafkaBootstrap"] == "b-1.kafka.amazonaws.com:9098"


def test_msk_writes_a_record_twice_and_makes_no_topic_by_itself(declare: Declare) -> None:
    configuration = declare("dev", MSK).one("msk/configuration:Configuration")
    lines = configuration["serverProperties"].splitlines()
    assert dict(line.split("=") for line in lines) == PROPERTIES
    assert {"min.insync.replicas=2", "auto.create.topics.enable=false"} < set(lines)
    assert {"default.replication.factor=3", "unclean.leader.election.enable=false"} < set(lines)


def test_only_the_cluster_s_nodes_reach_msk(declare: Declare) -> None:
    declared = declare("dev", MSK)
    [rule] = declared.named("ec2/securityGroup:SecurityGroup", "sluice-dev-kafka").inputs["ingress"]
    assert rule["securityGroups"] == ["sg-sluice-dev-cluster"]
    assert "cidrBlocks" not in rule
    assert (rule["fromPort"], rule["toPort"]) == (9098, 9098)


def test_a_stack_without_a_domain_has_no_zone(declare: Declare) -> None:
    declared = declare("dev")
    assert declared.of("route53/zone:Zone") == {}
    assert declared.of("acm/certificate:Certificate") == {}
    assert "nameServers" not in declared.outputs


def test_a_new_zone_s_certificate_is_not_waited_for_until_it_is_delegated(declare: Declare) -> None:
    declared = declare("prod")
    certificate = declared.one("acm/certificate:Certificate")
    assert certificate["domainName"] == "sluice.test"
    assert certificate["subjectAlternativeNames"] == ["*.sluice.test"]
    assert declared.one("route53/record:Record")["records"] == ["_proof.acm-validations.aws"]
    assert declared.of("acm/certificateValidation:CertificateValidation") == {}
    assert declared.outputs["nameServers"] == ["ns-1.awsdns.com"]
    delegated = declare("prod", {"dns.delegated": True})
    assert delegated.one("acm/certificateValidation:CertificateValidation")


def test_a_zone_that_is_there_is_used(declare: Declare) -> None:
    declared = declare("prod", {"dns.zoneId": "Z9"})
    assert declared.of("route53/zone:Zone") == {}
    assert declared.one("route53/record:Record")["zoneId"] == "Z9"
    assert declared.one("acm/certificateValidation:CertificateValidation")
