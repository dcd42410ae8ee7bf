"""The gateways' database at RDS: where it is, who enters it, and who hears of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sluice_infra import places, versions
from sluice_infra.database import read_authorities
from sluice_infra.places import DatabaseAnnotations
from sluice_infra.settings import SettingsError
from tests.pulumi.declared import STACKS, Declare, Declared
from tests.pulumi.engine.echo_provider import ACCOUNT

INSTANCE = "rds/instance:Instance"
CA = "../tests/pulumi/rds-ca.pem"
IAM = {"database": {"authentication": "iam", "caFile": CA}}
GRANTED = {"database": {**IAM["database"], "granted": True}}
PASSWORD = {"database": {"authentication": "password", "caFile": CA}}
SECRET = f"arn:aws:secretsmanager:::secret:rds!db-1-{ACCOUNT}"


def _with(**choices: object) -> dict[str, Any]:
    return {"database": {**PASSWORD["database"], **choices}}


def _facts(declared: Declared) -> Mapping[str, str]:
    annotations: Mapping[str, str] = declared.one("Secret")["metadata"]["annotations"]
    names = {name for key, name in vars(DatabaseAnnotations).items() if key.isupper()}
    return {name: fact for name, fact in annotations.items() if name in names}


def _statements(declared: Declared, name: str) -> list[dict[str, Any]]:
    policy = declared.named("iam/rolePolicy:RolePolicy", name).inputs["policy"]
    found: list[dict[str, Any]] = json.loads(policy)["Statement"]
    return found


@pytest.mark.parametrize("stack", STACKS)
def test_no_stack_has_a_database_unless_said(declare: Declare, stack: str) -> None:
    declared = declare(stack)
    assert not [each for each in declared.resources if each.type.startswith("aws:rds/")]
    assert _facts(declared) == {}
    assert not [name for name in declared.outputs if name.startswith("database")]


@pytest.mark.parametrize("choice", [IAM, PASSWORD], ids=["iam", "password"])
def test_it_is_private_encrypted_and_backed_up(declare: Declare, choice: dict[str, Any]) -> None:
    declared = declare("dev", choice)
    instance = declared.one(INSTANCE)
    assert instance["publiclyAccessible"] is False
    assert instance["storageEncrypted"] is True
    # A key of the stack's own would be deleted with it, and no snapshot could be restored.
    assert "kmsKeyId" not in instance
    assert instance["storageType"] == "gp3"
    assert (instance["allocatedStorage"], instance["maxAllocatedStorage"]) == (20, 200)
    assert instance["backupRetentionPeriod"] == 7
    assert instance["multiAz"] is False
    assert len(declared.one("rds/subnetGroup:SubnetGroup")["subnetIds"]) == 3
    private = {f"sluice-dev-private-{zone}" for zone in "abc"}
    assert set(declared.one("rds/subnetGroup:SubnetGroup")["subnetIds"]) == private


def test_only_the_cluster_s_nodes_reach_it(declare: Declare) -> None:
    declared = declare("dev", PASSWORD)
    group = declared.named("ec2/securityGroup:SecurityGroup", "sluice-dev-database").inputs
    [rule] = group["ingress"]
    assert rule["securityGroups"] == ["sg-sluice-dev-cluster"]
    assert "cidrBlocks" not in rule
    assert (rule["fromPort"], rule["toPort"]) == (5432, 5432)
    # And it reaches nothing.
    assert "egress" not in group
    assert declared.one(INSTANCE)["vpcSecurityGroupIds"] == ["sluice-dev-database"]


@pytest.mark.parametrize("version", [versions.POSTGRES, "18"])
def test_it_takes_tls_alone_in_each_version(declare: Declare, version: str) -> None:
    declared = declare("dev", _with(engineVersion=version))
    name = f"sluice-dev-database-postgres{version}"
    group = declared.named("rds/parameterGroup:ParameterGroup", name).inputs
    assert group["family"] == f"postgres{version}"
    [parameter] = group["parameters"]
    assert (parameter["name"], parameter["value"]) == ("rds.force_ssl", "1")
    instance = declared.one(INSTANCE)
    assert instance["parameterGroupName"] == name
    assert instance["engineVersion"] == version


def test_its_size_is_the_stack_s_choice(declare: Declare) -> None:
    instance = declare(
        "dev",
        _with(instance="db.m7g.large", diskGib=100, maxDiskGib=400, multiAz=True, backupDays=35),
    ).one(INSTANCE)
    assert instance["instanceClass"] == "db.m7g.large"
    assert (instance["allocatedStorage"], instance["maxAllocatedStorage"]) == (100, 400)
    assert instance["multiAz"] is True
    assert instance["backupRetentionPeriod"] == 35


def test_it_goes_by_mistake_only_where_nothing_is_kept(declare: Declare) -> None:
    dev = declare("dev", PASSWORD).one(INSTANCE)
    assert (dev["deletionProtection"], dev["skipFinalSnapshot"]) == (False, True)
    assert dev["deleteAutomatedBackups"] is True
    declared = declare("prod", PASSWORD)
    prod = declared.one(INSTANCE)
    assert (prod["deletionProtection"], prod["skipFinalSnapshot"]) == (True, False)
    assert prod["finalSnapshotIdentifier"] == "sluice-prod-database-final"
    assert prod["deleteAutomatedBackups"] is False
    assert declared.named(INSTANCE, "sluice-prod-database").protected


@pytest.mark.parametrize("choice", [IAM, PASSWORD], ids=["iam", "password"])
def test_nobody_chooses_its_password(declare: Declare, choice: dict[str, Any]) -> None:
    declared = declare("dev", choice)
    instance = declared.one(INSTANCE)
    assert instance["manageMasterUserPassword"] is True
    assert not {"password", "passwordWo"} & instance.keys()
    assert instance["username"] == places.DATABASE_USER
    assert instance["dbName"] == places.DATABASE
    assert declared.outputs["databaseSecretArn"] == SECRET
    assert declared.outputs["databaseHost"] == "sluice.abc.rds.amazonaws.com"


def test_with_iam_the_gateway_may_be_the_one_user_and_nobody_reads_the_password(
    declare: Declare,
) -> None:
    declared = declare("dev", IAM)
    assert declared.one(INSTANCE)["iamDatabaseAuthenticationEnabled"] is True
    assert _statements(declared, "sluice-dev-gateway") == [
        {
            "Effect": "Allow",
            "Action": ["rds-db:connect"],
            "Resource": [f"arn:aws:rds-db:eu-central-1:{ACCOUNT}:dbuser:db-ABC/sluice"],
        }
    ]
    account = declared.named(
        "eks/podIdentityAssociation:PodIdentityAssociation", "sluice-dev-gateway"
    ).inputs
    assert (account["namespace"], account["serviceAccount"]) == ("sluice", "sluice-gateway")
    policies = declared.of("iam/rolePolicy:RolePolicy")
    assert "sluice-dev-dispatcher" not in policies
    assert SECRET not in json.dumps([each["policy"] for each in policies.values()])


def test_with_a_password_external_secrets_reads_that_secret_alone(declare: Declare) -> None:
    declared = declare("dev", PASSWORD)
    assert declared.one(INSTANCE)["iamDatabaseAuthenticationEnabled"] is False
    assert "sluice-dev-gateway" not in declared.of("iam/rolePolicy:RolePolicy")
    before, more = _statements(declared, "sluice-dev-external-secrets")
    assert [before] == _statements(declare("dev"), "sluice-dev-external-secrets")
    assert more["Resource"] == [SECRET]
    assert more["Action"] == before["Action"]


def test_with_msk_the_gateway_s_role_has_the_rights_of_both(declare: Declare) -> None:
    declared = declare("dev", {**GRANTED, "kafka": {"mode": "msk"}})
    actions = {
        action for each in _statements(declared, "sluice-dev-gateway") for action in each["Action"]
    }
    assert {"rds-db:connect", "kafka-cluster:WriteData", "kafka-cluster:AlterGroup"} <= actions
    dispatcher = json.dumps(_statements(declared, "sluice-dev-dispatcher"))
    assert "rds-db" not in dispatcher


def test_argo_cd_hears_of_it_with_a_password_at_once(declare: Declare) -> None:
    assert _facts(declare("dev", PASSWORD)) == {
        "sluice.dev/database-host": "sluice.abc.rds.amazonaws.com",
        "sluice.dev/database-cidrs": "10.0.0.0/16",
        "sluice.dev/database-ca": Path("tests/pulumi/rds-ca.pem").read_text("utf-8"),
        "sluice.dev/database-secret": SECRET,
    }


def test_argo_cd_hears_of_it_with_iam_once_the_user_may_log_in(declare: Declare) -> None:
    """Before, gateways could not read a run."""
    assert _facts(declare("dev", IAM)) == {}
    facts = _facts(declare("dev", GRANTED))
    assert "sluice.dev/database-secret" not in facts
    assert set(facts) == {
        "sluice.dev/database-host",
        "sluice.dev/database-cidrs",
        "sluice.dev/database-ca",
    }


def test_authorities_that_are_missing_are_fetched_by_a_command_that_is_shown(
    declare: Declare,
) -> None:
    with pytest.raises(SettingsError) as raised:
        declare("dev", _with(caFile="nowhere.pem"))
    assert str(raised.value) == (
        "sluice:database.caFile: nowhere.pem cannot be read: No such file or directory. Fetch them "
        "into the folder pulumi: curl --fail --output nowhere.pem "
        "https://truststore.pki.rds.amazonaws.com/eu-central-1/eu-central-1-bundle.pem"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no certificates in PEM. Fetch them"),
        (b"<html>not found</html>", "has no certificates in PEM. Fetch them"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "has no certificates"),
        (b"\xff\xfe", "cannot be read: it is not text. Fetch them"),
        (b"-----BEGIN EC PRIVATE KEY-----", "has a private key, which does not belong there"),
    ],
)
def test_a_file_without_authorities_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"^sluice:database\.caFile: ") as raised:
        read_authorities(str(file), region="eu-central-1")
    assert message in str(raised.value)
