"""Who may do what at AWS: a role for each workload, its own account's alone, with no right more."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice_infra import places
from sluice_infra.places import Account
from tests.pulumi.declared import Declare, Declared
from tests.pulumi.engine.echo_provider import ACCOUNT

ASSOCIATION = "eks/podIdentityAssociation:PodIdentityAssociation"
MSK = {"kafka": {"mode": "msk"}}


def _statements(declared: Declared, name: str) -> list[dict[str, Any]]:
    policy = declared.named("iam/rolePolicy:RolePolicy", name).inputs["policy"]
    found: list[dict[str, Any]] = json.loads(policy)["Statement"]
    return found


def _accounts(declared: Declared) -> set[Account]:
    return {
        Account(namespace=each["namespace"], name=each["serviceAccount"])
        for each in declared.of(ASSOCIATION).values()
    }


def test_each_workload_of_a_stack_has_an_identity(declare: Declare) -> None:
    always = {
        places.EXECUTOR,
        places.ARGO_SERVER,
        places.EXTERNAL_SECRETS,
    }
    assert _accounts(declare("dev")) == always
    assert _accounts(declare("prod")) == always | {places.EXTERNAL_DNS}
    services = {places.account_of(service) for service in places.SERVICES}
    assert _accounts(declare("dev", MSK)) == always | services | {places.KEDA}


def test_a_role_is_its_account_s_alone(declare: Declare) -> None:
    declared = declare("prod", MSK)
    roles = declared.of("iam/role:Role")
    associations = declared.of(ASSOCIATION)
    assert len(associations) == 8
    for name, association in associations.items():
        [statement] = json.loads(roles[name]["assumeRolePolicy"])["Statement"]
        assert statement["Principal"] == {"Service": "pods.eks.amazonaws.com"}
        assert set(statement["Action"]) == {"sts:AssumeRole", "sts:TagSession"}
        assert statement["Condition"]["StringEquals"] == {
            "aws:RequestTag/eks-cluster-arn": "arn:aws:eks:::sluice-prod-cluster",
            "aws:RequestTag/kubernetes-namespace": association["namespace"],
            "aws:RequestTag/kubernetes-service-account": association["serviceAccount"],
        }
        assert association["roleArn"].endswith(name)


def test_a_role_s_name_says_the_region(declare: Declare) -> None:
    """Regions share IAM: a stack of the same name in another region has roles of its own."""
    roles = declare("prod", MSK).of("iam/role:Role").values()
    assert len(roles) == 10
    assert all(role["name"].startswith("sluice-prod-eu-central-1-") for role in roles)
    assert max(len(role["name"]) for role in roles) <= 64


def test_the_executor_writes_to_the_artifacts_bucket_and_nowhere_else(declare: Declare) -> None:
    statements = _statements(declare("dev"), "sluice-dev-executor")
    bucket = "arn:aws:s3:::sluice-dev-artifacts"
    assert {resource for each in statements for resource in each["Resource"]} == {
        bucket,
        f"{bucket}/*",
    }
    assert {action for each in statements for action in each["Action"]} == {
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:ListBucket",
        "s3:GetBucketLocation",
    }


def test_argo_s_server_only_reads(declare: Declare) -> None:
    actions = [
        action
        for each in _statements(declare("dev"), "sluice-dev-argo-server")
        for action in each["Action"]
    ]
    assert not [action for action in actions if "Put" in action or "Delete" in action]


def test_secrets_are_read_below_the_environment_s_own_name(declare: Declare) -> None:
    [statement] = _statements(declare("staging"), "sluice-staging-external-secrets")
    assert statement["Resource"] == [
        "arn:aws:secretsmanager:eu-central-1:111122223333:secret:sluice/staging/*"
    ]


def test_records_are_changed_in_the_stack_s_zone_alone(declare: Declare) -> None:
    changing = [
        each
        for each in _statements(declare("prod"), "sluice-prod-external-dns")
        if "route53:ChangeResourceRecordSets" in each["Action"]
    ]
    assert [each["Resource"] for each in changing] == [["arn:aws:route53:::hostedzone/Z1"]]


CLUSTER = "arn:aws:kafka:::cluster/sluice-dev-kafka/uuid"
GROUP = "arn:aws:kafka:::group/sluice-dev-kafka/uuid/"
TOPIC = "arn:aws:kafka:::topic/sluice-dev-kafka/uuid/"

# https://docs.aws.amazon.com/msk/latest/developerguide/kafka-actions.html
AS_IAM_SAYS = {
    ("topic", "Describe"): {"DescribeTopic"},
    ("topic", "DescribeConfigs"): {"DescribeTopicDynamicConfiguration"},
    ("topic", "Read"): {"ReadData"},
    ("topic", "Write"): {"WriteData"},
    ("group", "Read"): {"AlterGroup", "DescribeGroup"},
}


def _rights(declared: Declared, name: str) -> set[tuple[str, str]]:
    """Give each action with each resource that it is allowed on."""
    return {
        (action.removeprefix("kafka-cluster:"), resource)
        for each in _statements(declared, name)
        for action in each["Action"]
        for resource in each["Resource"]
    }


WITH_DATABASE = {"database": {"authentication": "password", "caFile": "../tests/pulumi/rds-ca.pem"}}


@pytest.fixture(scope="module", params=["", places.GATEWAY_GROUP], ids=["", "database"])
def group(request: pytest.FixtureRequest) -> str:
    """The group of gateways that share a database, if they do."""
    found: str = request.param
    return found


CONTROLS = "sluice.controls"


@pytest.fixture(scope="module", params=[(), ("acme", "globex")], ids=["", "doors"])
def doors(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The names of doors; with them there is a topic of controls."""
    found: tuple[str, ...] = request.param
    return found


@pytest.fixture(scope="module")
def acls(helm: Path, group: str, doors: tuple[str, ...]) -> dict[str, list[Any]]:
    """What helm/kafka lets each account do at Strimzi's Kafka."""
    chart = Path(__file__).parents[2] / "helm/kafka"
    values = [
        f"services.gatewayGroup={group}",
        f"controlsTopic={CONTROLS if doors else ''}",
        *(f"doors[{n}].name={door},doors[{n}].tenants={{{door}}}" for n, door in enumerate(doors)),
    ]
    rendered = subprocess.run(
        [helm, "template", places.SLUICE, chart, *(f"--set={value}" for value in values)],
        capture_output=True,
        text=True,
        check=True,
    )
    return {
        each["metadata"]["name"]: each["spec"]["authorization"]["acls"]
        for each in yaml.safe_load_all(rendered.stdout)
        if each and each["kind"] == "KafkaUser"
    }


@pytest.mark.parametrize("service", places.SERVICES)
def test_services_may_do_at_msk_what_they_may_at_strimzi_s_and_make_topics(
    declare: Declare,
    acls: dict[str, list[Any]],
    group: str,
    doors: tuple[str, ...],
    service: str,
) -> None:
    granted = {
        (
            action,
            {"topic": TOPIC, "group": GROUP}[acl["resource"]["type"]]
            + acl["resource"]["name"]
            + {"literal": "", "prefix": "*"}[acl["resource"].get("patternType", "literal")],
        )
        for acl in acls[places.account_of(service).name]
        for operation in acl["operations"]
        for action in AS_IAM_SAYS[acl["resource"]["type"], operation]
    }
    declared = declare("dev", with_doors(doors) | (WITH_DATABASE if group else {}))
    described = {resource for action, resource in granted if action == "DescribeTopic"}
    assert len(described) >= len(places.TOPICS) * (1 + len(doors))
    assert _rights(declared, f"sluice-dev-{service}") == granted | {
        ("Connect", CLUSTER),
        ("WriteDataIdempotently", CLUSTER),
        *(("CreateTopic", topic) for topic in described),
    }


def with_doors(doors: tuple[str, ...]) -> dict[str, Any]:
    more = {"doors": list(doors), "controlsTopic": CONTROLS} if doors else {}
    return {"kafka": {"mode": "msk", **more}}


def test_keda_sees_how_many_requests_wait_and_nothing_else(
    declare: Declare, doors: tuple[str, ...]
) -> None:
    requests = [places.REQUESTS, *(f"{places.REQUESTS}.{door}" for door in doors)]
    assert _rights(declare("dev", with_doors(doors)), "sluice-dev-keda") == {
        ("Connect", CLUSTER),
        *(("DescribeTopic", TOPIC + topic) for topic in requests),
        ("DescribeGroup", GROUP + places.CONSUMER_GROUP + "*"),
    }


def test_auto_mode_may_tag_volumes_where_they_are_snapshotted_and_nothing_else(
    declare: Declare,
) -> None:
    assert "sluice-dev-cluster-volume-tags" not in declare("dev").of("iam/rolePolicy:RolePolicy")
    [statement] = _statements(declare("prod"), "sluice-prod-cluster-volume-tags")
    assert statement["Action"] == ["ec2:CreateVolume"]
    assert statement["Condition"] == {
        "StringEquals": {
            "aws:RequestTag/eks:eks-cluster-name": "${aws:PrincipalTag/eks:eks-cluster-name}"
        }
    }


def test_no_policy_of_ours_allows_everything(declare: Declare) -> None:
    for name in declare("prod", MSK).of("iam/rolePolicy:RolePolicy"):
        for statement in _statements(declare("prod", MSK), name):
            assert not [action for action in statement["Action"] if action.endswith(":*")]


def test_the_learner_lab_makes_nothing_of_iam(declare: Declare) -> None:
    declared = declare("learnerlab")
    role = f"arn:aws:iam::{ACCOUNT}:role/LabRole"
    assert [each for each in declared.resources if each.type.startswith("aws:iam/")] == []
    assert declared.of(ASSOCIATION) == {}
    assert declared.one("eks/cluster:Cluster")["roleArn"] == role
    assert {each["nodeRoleArn"] for each in declared.of("eks/nodeGroup:NodeGroup").values()} == {
        role
    }
    assert not [
        name
        for name, each in declared.of("eks/addon:Addon").items()
        if "podIdentityAssociations" in each or "serviceAccountRoleArn" in each
    ]
