"""Nodes and add-ons: pools, disks, metadata, and what waits for what."""

import json

import pytest

from sluice_infra import addons
from sluice_infra.places import POOL, WORKFLOWS_TAINT
from sluice_infra.workloads import ADD_ONS
from tests.pulumi.declared import Declare

GROUP = "eks/nodeGroup:NodeGroup"
TEMPLATE = "ec2/launchTemplate:LaunchTemplate"
ADD_ON = "eks/addon:Addon"


def test_nodes_are_of_the_cluster_s_version(declare: Declare) -> None:
    declared = declare("dev")
    version = declared.one("eks/cluster:Cluster")["version"]
    assert {group["version"] for group in declared.of(GROUP).values()} == {version}


def test_there_are_three_pools_each_with_its_label(declare: Declare) -> None:
    groups = declare("dev").of(GROUP)
    assert {name: group["labels"][POOL] for name, group in groups.items()} == {
        "sluice-dev-system": "system",
        "sluice-dev-services": "services",
        "sluice-dev-workflows": "workflows",
    }


def test_workflows_alone_run_on_spot_which_is_tainted(declare: Declare) -> None:
    groups = declare("dev").of(GROUP)
    spot = groups.pop("sluice-dev-workflows")
    assert spot["capacityType"] == "SPOT"
    assert spot["taints"] == [{"key": WORKFLOWS_TAINT, "value": "true", "effect": "NO_SCHEDULE"}]
    assert len(spot["instanceTypes"]) >= 3
    for group in groups.values():
        assert group["capacityType"] == "ON_DEMAND"
        assert group["taints"] == []


def test_nodes_are_in_private_subnets(declare: Declare) -> None:
    for group in declare("dev").of(GROUP).values():
        assert set(group["subnetIds"]) == {f"sluice-dev-private-{zone}" for zone in "abc"}


def test_disks_are_encrypted_and_metadata_wants_a_token(declare: Declare) -> None:
    declared = declare("dev")
    templates = declared.of(TEMPLATE)
    assert len(templates) == 3
    for template in templates.values():
        [disk] = template["blockDeviceMappings"]
        assert disk["ebs"]["encrypted"] == "true"
        assert template["metadataOptions"] == {
            "httpEndpoint": "enabled",
            "httpTokens": "required",
            "httpPutResponseHopLimit": 1,
        }
    assert all("launchTemplate" in group for group in declared.of(GROUP).values())


def test_pods_reach_the_node_s_rights_only_where_there_are_no_others(declare: Declare) -> None:
    for template in declare("learnerlab").of(TEMPLATE).values():
        assert template["metadataOptions"]["httpPutResponseHopLimit"] == 2


def test_an_autoscaler_s_size_is_left_alone(declare: Declare) -> None:
    group = declare("dev", {"nodes.services.size": 4}).of(GROUP)["sluice-dev-services"]
    assert group["scalingConfig"] == {"minSize": 1, "desiredSize": 4, "maxSize": 4}


def test_the_network_is_there_before_nodes_and_dns_after_them(declare: Declare) -> None:
    declared = declare("dev")
    for name in declared.of(GROUP):
        after = declared.named(GROUP, name).after
        assert {f"sluice-dev-{each}" for each in addons.BEFORE_NODES} <= after
    groups = set(declared.of(GROUP))
    for name in addons.AFTER_NODES:
        assert groups <= declared.named(ADD_ON, f"sluice-dev-{name}").after


def test_all_add_ons_are_there(declare: Declare) -> None:
    installed = {each["addonName"] for each in declare("dev").of(ADD_ON).values()}
    assert installed == {
        "vpc-cni",
        "coredns",
        "kube-proxy",
        "eks-pod-identity-agent",
        "aws-ebs-csi-driver",
        "metrics-server",
    }


def test_network_policies_are_enforced(declare: Declare) -> None:
    add_on = declare("dev").of(ADD_ON)["sluice-dev-vpc-cni"]
    assert json.loads(add_on["configurationValues"]) == {"enableNetworkPolicy": "true"}


@pytest.mark.parametrize("name", ADD_ONS)
def test_an_add_on_that_talks_to_aws_has_a_role_of_its_own(declare: Declare, name: str) -> None:
    [identity] = declare("dev").of(ADD_ON)[f"sluice-dev-{name}"]["podIdentityAssociations"]
    assert identity["roleArn"].endswith(f"sluice-dev-{name}")
    assert identity["serviceAccount"] == ADD_ONS[name].account.name


def test_the_nodes_role_has_no_right_that_pods_should_not_have(declare: Declare) -> None:
    attached = declare("dev").of("iam/rolePolicyAttachment:RolePolicyAttachment")
    assert {
        each["policyArn"].rpartition("/")[2]
        for name, each in attached.items()
        if name.startswith("sluice-dev-node-")
    } == {"AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"}
