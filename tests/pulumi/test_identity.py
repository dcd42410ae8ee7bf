"""Who may do what at AWS: a role for each workload, its own account's alone, with no right more."""

import json
from typing import Any

import pytest

from sluice_infra import places
from sluice_infra.places import Account
from tests.pulumi.declared import Declare, Declared

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
        places.LOAD_BALANCER,
        places.EXTERNAL_SECRETS,
    }
    assert _accounts(declare("dev")) == always
    assert _accounts(declare("prod")) == always | {places.EXTERNAL_DNS, places.CERT_MANAGER}
    services = {places.account_of(service) for service in places.SERVICES}
    assert _accounts(declare("dev", MSK)) == always | services | {places.KEDA}


def test_a_role_is_its_account_s_alone(declare: Declare) -> None:
    declared = declare("prod", MSK)
    roles = declared.of("iam/role:Role")
    associations = declared.of(ASSOCIATION)
    assert len(associations) == 10
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


@pytest.mark.parametrize("who", ["external-dns", "cert-manager"])
def test_records_are_changed_in_the_stack_s_zone_alone(declare: Declare, who: str) -> None:
    changing = [
        each
        for each in _statements(declare("prod"), f"sluice-prod-{who}")
        if "route53:ChangeResourceRecordSets" in each["Action"]
    ]
    assert [each["Resource"] for each in changing] == [["arn:aws:route53:::hostedzone/Z1"]]


@pytest.mark.parametrize("service", places.SERVICES)
def test_services_use_their_topics_and_group_on_msk(declare: Declare, service: str) -> None:
    statements = _statements(declare("dev", MSK), f"sluice-dev-{service}")
    resources = {resource for each in statements for resource in each["Resource"]}
    assert resources == {
        "arn:aws:kafka:::cluster/sluice-dev-kafka/uuid",
        "arn:aws:kafka:::group/sluice-dev-kafka/uuid/sluice-dispatcher*",
        *(f"arn:aws:kafka:::topic/sluice-dev-kafka/uuid/{topic}" for topic in places.TOPICS),
    }
    actions = {action for each in statements for action in each["Action"]}
    assert "kafka-cluster:DeleteTopic" not in actions
    assert "kafka-cluster:*" not in actions


def test_the_load_balancer_controller_changes_only_what_carries_a_tag(declare: Declare) -> None:
    free = {
        action
        for each in _statements(declare("dev"), "sluice-dev-load-balancer")
        if "Condition" not in each and each["Resource"] == ["*"]
        for action in each["Action"]
        if not action.partition(":")[2].startswith(("Describe", "Get", "List"))
    }
    about_listeners = {action for action in free if "Listener" in action or "Rule" in action}
    assert free - about_listeners == {
        "ec2:CreateSecurityGroup",
        "elasticloadbalancing:SetWebAcl",
    }


def test_no_policy_of_ours_allows_everything(declare: Declare) -> None:
    for name in declare("prod", MSK).of("iam/rolePolicy:RolePolicy"):
        for statement in _statements(declare("prod", MSK), name):
            assert not [action for action in statement["Action"] if action.endswith(":*")]


def test_the_learner_lab_makes_nothing_of_iam(declare: Declare) -> None:
    declared = declare("learnerlab")
    role = "arn:aws:iam::123456789012:role/LabRole"
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
