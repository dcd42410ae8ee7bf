"""The control plane: who gets in, what is encrypted, what is logged."""

import json

import pytest

from sluice_infra.cluster import creator_is_admin, kubeconfig_of
from sluice_infra.settings import SettingsError
from sluice_infra.versions import KUBERNETES
from tests.pulumi.declared import ADMIN, OFFICE, STACKS, Declare
from tests.pulumi.engine.echo_provider import ACCOUNT, CALLER

CLUSTER = "eks/cluster:Cluster"


@pytest.mark.parametrize("stack", STACKS)
def test_every_cluster_is_of_one_version_by_entries_and_encrypted(
    declare: Declare, stack: str
) -> None:
    cluster = declare(stack).one(CLUSTER)
    assert cluster["version"] == KUBERNETES
    assert cluster["accessConfig"]["authenticationMode"] == "API"
    assert cluster["encryptionConfig"]["resources"] == ["secrets"]
    assert cluster["encryptionConfig"]["provider"]["keyArn"].startswith("arn:aws:kms:")
    assert set(cluster["enabledClusterLogTypes"]) == {
        "api",
        "audit",
        "authenticator",
        "controllerManager",
        "scheduler",
    }
    assert cluster["upgradePolicy"] == {"supportType": "STANDARD"}
    assert cluster["vpcConfig"]["endpointPrivateAccess"] is True


def test_the_key_of_secrets_is_rotated(declare: Declare) -> None:
    assert declare("dev").one("kms/key:Key")["enableKeyRotation"] is True


def test_named_networks_reach_the_api_from_outside(declare: Declare) -> None:
    access = declare("dev").one(CLUSTER)["vpcConfig"]
    assert access["endpointPublicAccess"] is True
    assert access["publicAccessCidrs"] == [OFFICE]


def test_prod_has_no_public_door(declare: Declare) -> None:
    access = declare("prod").one(CLUSTER)["vpcConfig"]
    assert access["endpointPublicAccess"] is False
    assert "publicAccessCidrs" not in access


def test_the_api_is_reached_in_private_subnets(declare: Declare) -> None:
    subnets = declare("dev").one(CLUSTER)["vpcConfig"]["subnetIds"]
    assert set(subnets) == {f"sluice-dev-private-{zone}" for zone in "abc"}


@pytest.mark.parametrize(("stack", "protected"), [("dev", False), ("prod", True)])
def test_only_prod_is_kept_from_deletion(declare: Declare, stack: str, protected: bool) -> None:
    declared = declare(stack)
    assert declared.one(CLUSTER)["deletionProtection"] is protected
    kinds = {each.type for each in declared.resources if each.protected is not protected}
    assert kinds == {"pulumi:pulumi:Stack"} & kinds


def test_logs_are_kept_for_as_long_as_is_said(declare: Declare) -> None:
    declared = declare("dev", {"cluster.logDays": 90})
    logs = declared.one("cloudwatch/logGroup:LogGroup")
    assert (logs["name"], logs["retentionInDays"]) == ("/aws/eks/sluice-dev/cluster", 90)
    assert "sluice-dev-control-plane" in declared.named(CLUSTER, "sluice-dev-cluster").after


def test_people_get_in_by_access_entries(declare: Declare) -> None:
    admin, viewer = ADMIN, "arn:aws:iam::1:role/viewer"
    declared = declare("dev", {"cluster.admins": [admin], "cluster.viewers": [viewer]})
    assert {
        each["principalArn"] for each in declared.of("eks/accessEntry:AccessEntry").values()
    } == {admin, viewer}
    granted = {
        each["principalArn"]: each["policyArn"].rpartition("/")[2]
        for each in declared.of("eks/accessPolicyAssociation:AccessPolicyAssociation").values()
    }
    assert granted == {admin: "AmazonEKSClusterAdminPolicy", viewer: "AmazonEKSViewPolicy"}


@pytest.mark.parametrize(("stack", "creator"), [("dev", True), ("staging", False), ("prod", False)])
def test_a_cluster_s_creator_is_its_admin_only_where_nobody_else_is(
    declare: Declare, stack: str, creator: bool
) -> None:
    access = declare(stack).one(CLUSTER)["accessConfig"]
    assert access["bootstrapClusterCreatorAdminPermissions"] is creator


def test_admins_that_are_named_later_replace_no_cluster(declare: Declare) -> None:
    """AWS makes a new cluster when this changes."""
    ignored = declare("dev").named(CLUSTER, "sluice-dev-cluster").ignored
    assert ignored == ("accessConfig.bootstrapClusterCreatorAdminPermissions",)


@pytest.mark.parametrize(
    ("caller", "admin"),
    [
        (CALLER, f"arn:aws:iam::{ACCOUNT}:role/admin"),
        (CALLER, f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/admin"),
        ("arn:aws:iam::111122223333:user/ada", "arn:aws:iam::111122223333:user/ada"),
    ],
)
def test_pulumi_s_identity_is_found_among_the_admins(caller: str, admin: str) -> None:
    assert creator_is_admin(caller, ["arn:aws:iam::1:role/other", admin]) is False


@pytest.mark.parametrize(
    ("caller", "admin"),
    [
        (CALLER, f"arn:aws:iam::{ACCOUNT}:role/administrator"),
        (CALLER, "arn:aws:iam::444455556666:role/admin"),
        (CALLER, f"arn:aws:iam::{ACCOUNT}:user/admin"),
        ("arn:aws:iam::111122223333:user/ada", "arn:aws:iam::111122223333:user/bob"),
    ],
)
def test_admins_without_pulumi_s_identity_are_refused(caller: str, admin: str) -> None:
    """It installs Argo CD, and would wait for a cluster that does not let it in."""
    with pytest.raises(SettingsError, match=r"sluice:cluster\.admins: Pulumi's identity is not"):
        creator_is_admin(caller, [admin])


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_auto_mode_brings_nodes_load_balancers_and_volumes(declare: Declare, stack: str) -> None:
    declared = declare(stack)
    cluster = declared.one(CLUSTER)
    assert cluster["computeConfig"]["enabled"] is True
    assert cluster["computeConfig"]["nodePools"] == ["general-purpose"]
    assert cluster["kubernetesNetworkConfig"]["elasticLoadBalancing"] == {"enabled": True}
    assert cluster["storageConfig"] == {"blockStorage": {"enabled": True}}
    assert cluster["bootstrapSelfManagedAddons"] is False
    assert declared.of("eks/nodeGroup:NodeGroup") == {}
    assert set(declared.of("eks/addon:Addon")) == {f"sluice-{stack}-metrics-server"}
    attached = declared.of("iam/rolePolicyAttachment:RolePolicyAttachment")
    assert {name for name in attached if "AmazonEKSComputePolicy" in name}


def test_the_lab_is_without_auto_mode(declare: Declare) -> None:
    cluster = declare("learnerlab").one(CLUSTER)
    assert not {"computeConfig", "storageConfig"} & cluster.keys()
    assert "elasticLoadBalancing" not in cluster["kubernetesNetworkConfig"]


def test_the_kubeconfig_holds_no_secret_but_asks_aws_for_a_token() -> None:
    text = kubeconfig_of(
        name="c", endpoint="https://example.com", authority="Q0E=", region="eu-central-1"
    )
    config = json.loads(text)
    [user] = config["users"]
    assert user["user"]["exec"]["command"] == "aws"
    assert user["user"]["exec"]["args"] == [
        *("eks", "get-token", "--cluster-name", "c"),
        *("--region", "eu-central-1"),
    ]
    [context] = config["contexts"]
    assert config["current-context"] == context["name"]
