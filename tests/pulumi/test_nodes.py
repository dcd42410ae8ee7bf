"""Managed node groups and add-ons: disks, metadata, architecture, and what waits for what."""

import json
from typing import Any

import pytest

from sluice_infra import addons
from sluice_infra.places import POOL, WORKFLOWS_TAINT
from sluice_infra.workloads import ADD_ONS
from tests.pulumi.declared import Declare, Declared

GROUP = "eks/nodeGroup:NodeGroup"
TEMPLATE = "ec2/launchTemplate:LaunchTemplate"
ADD_ON = "eks/addon:Addon"
NODES = {
    "mode": "managed",
    "services": {"instanceTypes": ["t3.large"], "desiredSize": 3},
    "workflows": {"instanceTypes": ["m6i.large", "m5.large", "m6a.large"], "desiredSize": 2},
}


@pytest.fixture
def managed(declare: Declare) -> Declared:
    """A stack with managed node groups, and with roles of its own."""
    return declare("dev", {"nodes": NODES})


def test_nodes_are_of_the_cluster_s_version(managed: Declared) -> None:
    version = managed.one("eks/cluster:Cluster")["version"]
    assert {group["version"] for group in managed.of(GROUP).values()} == {version}


def test_workflows_alone_run_on_spot_which_is_labelled_and_tainted(managed: Declared) -> None:
    groups = dict(managed.of(GROUP))
    spot = groups.pop("sluice-dev-workflows")
    assert spot["capacityType"] == "SPOT"
    assert spot["taints"] == [{"key": WORKFLOWS_TAINT, "value": "true", "effect": "NO_SCHEDULE"}]
    assert spot["labels"] == {POOL: "workflows"}
    [(name, group)] = groups.items()
    assert name == "sluice-dev-services"
    assert group["capacityType"] == "ON_DEMAND"
    assert group["taints"] == []
    # A label that nothing selects by says nothing.
    assert group["labels"] == {}


@pytest.mark.parametrize(
    ("instance_type", "ami"),
    [("m7g.large", "AL2023_ARM_64_STANDARD"), ("m7i.large", "AL2023_x86_64_STANDARD")],
)
def test_nodes_have_the_image_of_their_architecture(
    declare: Declare, instance_type: str, ami: str
) -> None:
    """An image of another architecture fails only when the node group is made."""
    services: dict[str, Any] = {"instanceTypes": [instance_type], "desiredSize": 3}
    declared = declare("dev", {"nodes": {**NODES, "services": services}})
    assert declared.of(GROUP)["sluice-dev-services"]["amiType"] == ami


def test_nodes_are_in_private_subnets(managed: Declared) -> None:
    for group in managed.of(GROUP).values():
        assert set(group["subnetIds"]) == {f"sluice-dev-private-{zone}" for zone in "abc"}


def test_disks_are_encrypted_and_metadata_wants_a_token(managed: Declared) -> None:
    templates = managed.of(TEMPLATE)
    assert len(templates) == 2
    for template in templates.values():
        [disk] = template["blockDeviceMappings"]
        assert disk["ebs"]["encrypted"] == "true"
        assert template["metadataOptions"] == {
            "httpEndpoint": "enabled",
            "httpTokens": "required",
            "httpPutResponseHopLimit": 1,
        }
    assert all("launchTemplate" in group for group in managed.of(GROUP).values())


def test_pods_reach_the_node_s_rights_only_where_there_are_no_others(declare: Declare) -> None:
    for template in declare("learnerlab").of(TEMPLATE).values():
        assert template["metadataOptions"]["httpPutResponseHopLimit"] == 2


def test_a_group_has_the_size_that_is_said(managed: Declared) -> None:
    group = managed.of(GROUP)["sluice-dev-services"]
    assert group["scalingConfig"] == {"minSize": 3, "desiredSize": 3, "maxSize": 3}


def test_a_group_may_be_empty(declare: Declare) -> None:
    workflows = {"instanceTypes": ["m5.large"], "desiredSize": 0}
    declared = declare("dev", {"nodes": {**NODES, "workflows": workflows}})
    # AWS wants a maximum of at least one.
    size = {"minSize": 0, "desiredSize": 0, "maxSize": 1}
    assert declared.of(GROUP)["sluice-dev-workflows"]["scalingConfig"] == size


def test_the_network_is_there_before_nodes_and_dns_after_them(managed: Declared) -> None:
    for name in managed.of(GROUP):
        after = managed.named(GROUP, name).after
        assert {f"sluice-dev-{each}" for each in addons.BEFORE_NODES} <= after
    groups = set(managed.of(GROUP))
    for name in addons.AFTER_NODES:
        assert groups <= managed.named(ADD_ON, f"sluice-dev-{name}").after


def test_all_add_ons_are_there(managed: Declared) -> None:
    installed = {each["addonName"] for each in managed.of(ADD_ON).values()}
    assert installed == {
        "vpc-cni",
        "coredns",
        "kube-proxy",
        "eks-pod-identity-agent",
        "aws-ebs-csi-driver",
        "metrics-server",
    }


def test_an_add_on_has_the_version_that_is_said(declare: Declare) -> None:
    version = "v0.8.0-eksbuild.5"
    declared = declare("dev", {"cluster.addonVersions": {"metrics-server": version}})
    assert declared.one(ADD_ON)["addonVersion"] == version
    assert "addonVersion" not in declare("dev").one(ADD_ON)


def test_network_policies_are_enforced(managed: Declared) -> None:
    add_on = managed.of(ADD_ON)["sluice-dev-vpc-cni"]
    assert json.loads(add_on["configurationValues"]) == {"enableNetworkPolicy": "true"}


@pytest.mark.parametrize("name", ADD_ONS)
def test_an_add_on_that_talks_to_aws_has_a_role_of_its_own(managed: Declared, name: str) -> None:
    [identity] = managed.of(ADD_ON)[f"sluice-dev-{name}"]["podIdentityAssociations"]
    assert identity["roleArn"].endswith(f"sluice-dev-{name}")
    assert identity["serviceAccount"] == ADD_ONS[name].account.name


@pytest.mark.parametrize(
    ("nodes", "rights"),
    [
        (NODES, {"AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"}),
        (None, {"AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly"}),
    ],
)
def test_the_nodes_role_has_no_right_that_pods_should_not_have(
    declare: Declare, nodes: dict[str, Any] | None, rights: set[str]
) -> None:
    attached = declare("dev", {"nodes": nodes}).of("iam/rolePolicyAttachment:RolePolicyAttachment")
    assert {
        each["policyArn"].rpartition("/")[2]
        for name, each in attached.items()
        if name.startswith("sluice-dev-node-")
    } == rights
