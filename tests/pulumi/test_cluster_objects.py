"""What is in the cluster before Argo CD: classes of volumes and load balancers, and a NodePool."""

import pytest

from sluice_infra.places import POOL, RETAIN_CLASS, WORKFLOWS_TAINT
from tests.pulumi.declared import STACKS, Declare

AUTO = ("dev", "staging", "prod")
MANAGED = ("learnerlab",)
NODE_POOL = "NodePool"
STORAGE_CLASS = "StorageClass"
SNAPSHOTS = "dlm/lifecyclePolicy:LifecyclePolicy"


@pytest.mark.parametrize("stack", AUTO)
def test_auto_mode_enforces_network_policies(declare: Declare, stack: str) -> None:
    """It accepts them in any case, and ignores them without this."""
    switch = declare(stack).one("ConfigMap")
    assert (switch["metadata"]["namespace"], switch["metadata"]["name"]) == (
        "kube-system",
        "amazon-vpc-cni",
    )
    assert switch["data"] == {"enable-network-policy-controller": "true"}


@pytest.mark.parametrize("stack", AUTO)
def test_ingresses_are_for_the_controller_of_auto_mode(declare: Declare, stack: str) -> None:
    ingress_class = declare(stack).one("IngressClass")
    assert ingress_class["metadata"]["name"] == "alb"
    assert ingress_class["spec"] == {"controller": "eks.amazonaws.com/alb"}


@pytest.mark.parametrize("stack", MANAGED)
def test_node_groups_have_nothing_of_auto_mode(declare: Declare, stack: str) -> None:
    declared = declare(stack)
    for kind in ("ConfigMap", "IngressClass", NODE_POOL):
        assert declared.of(kind) == {}


@pytest.mark.parametrize("stack", AUTO)
def test_nodes_for_workflows_are_labelled_tainted_and_limited(declare: Declare, stack: str) -> None:
    spec = declare(stack).one(NODE_POOL)["spec"]
    template = spec["template"]
    assert template["metadata"]["labels"] == {POOL: "workflows"}
    assert template["spec"]["taints"] == [
        {"key": WORKFLOWS_TAINT, "value": "true", "effect": "NoSchedule"}
    ]
    assert spec["limits"] == {"cpu": {"prod": "256"}.get(stack, "32")}


def test_nodes_for_workflows_are_spot_where_there_is_some_of_both_architectures(
    declare: Declare,
) -> None:
    requirements = {
        each["key"]: each["values"]
        for each in declare("dev").one(NODE_POOL)["spec"]["template"]["spec"]["requirements"]
        if each["operator"] == "In"
    }
    assert requirements["karpenter.sh/capacity-type"] == ["spot", "on-demand"]
    assert requirements["kubernetes.io/arch"] == ["amd64", "arm64"]


def test_a_stack_may_want_other_nodes_for_workflows(declare: Declare) -> None:
    wanted = {"cpuLimit": 8, "capacityTypes": ["on-demand"], "architectures": ["amd64"]}
    spec = declare("dev", {"nodes": {"nodePool": wanted}}).one(NODE_POOL)["spec"]
    assert spec["limits"] == {"cpu": "8"}
    values = [each["values"] for each in spec["template"]["spec"]["requirements"]]
    assert ["on-demand"] in values
    assert ["amd64"] in values


def test_only_empty_nodes_are_taken_from_workflows(declare: Declare) -> None:
    spec = declare("dev").one(NODE_POOL)["spec"]
    assert spec["disruption"]["consolidationPolicy"] == "WhenEmpty"


@pytest.mark.parametrize("stack", STACKS)
def test_volumes_are_encrypted_and_one_class_is_the_default(declare: Declare, stack: str) -> None:
    classes = declare(stack).of(STORAGE_CLASS)
    assert len(classes) == 2
    for each in classes.values():
        assert each["parameters"]["encrypted"] == "true"
        assert each["provisioner"] == (
            "ebs.csi.eks.amazonaws.com" if stack in AUTO else "ebs.csi.aws.com"
        )
    default = {
        name
        for name, each in classes.items()
        if each["metadata"]
        .get("annotations", {})
        .get("storageclass.kubernetes.io/is-default-class")
    }
    assert default == {f"sluice-{stack}-encrypted"}


@pytest.mark.parametrize("stack", STACKS)
def test_one_class_retains_its_volumes(declare: Declare, stack: str) -> None:
    policies = {
        each["metadata"]["name"]: each["reclaimPolicy"]
        for each in declare(stack).of(STORAGE_CLASS).values()
    }
    assert policies == {"encrypted": "Delete", RETAIN_CLASS: "Retain"}


@pytest.mark.parametrize(("stack", "hours", "kept"), [("staging", 24, 3), ("prod", 1, 24)])
def test_retained_volumes_are_snapshotted(
    declare: Declare, stack: str, hours: int, kept: int
) -> None:
    declared = declare(stack)
    [retained] = [
        each["parameters"]
        for each in declared.of(STORAGE_CLASS).values()
        if each["reclaimPolicy"] == "Retain"
    ]
    assert retained["tagSpecification_1"] == f"sluice.dev/snapshots=sluice-{stack}"
    details = declared.one(SNAPSHOTS)["policyDetails"]
    assert details["targetTags"] == {"sluice.dev/snapshots": f"sluice-{stack}"}
    [schedule] = details["schedules"]
    assert schedule["createRule"] == {"interval": hours, "intervalUnit": "HOURS"}
    assert schedule["retainRule"] == {"count": kept}


@pytest.mark.parametrize("stack", ["dev", "learnerlab"])
def test_where_records_may_be_lost_there_are_no_snapshots(declare: Declare, stack: str) -> None:
    declared = declare(stack)
    assert declared.of(SNAPSHOTS) == {}
    for each in declared.of(STORAGE_CLASS).values():
        assert "tagSpecification_1" not in each["parameters"]
