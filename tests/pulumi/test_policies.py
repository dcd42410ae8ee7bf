"""Each policy is a plain function that catches what breaks it and lets pass what does not."""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from sluice_policies.buckets import buckets_are_guarded
from sluice_policies.catalogue import RULES, STACK_RULES
from sluice_policies.network_policies import network_policies_are_enforced
from sluice_policies.pack import policies
from sluice_policies.resources import UNKNOWN, Resource, Said
from sluice_policies.subnets import load_balancers_are_apart
from sluice_policies.tags import REQUIRED
from sluice_policies.volumes import volumes_are_kept
from tests.pulumi.declared import STACKS, Declare, ours
from tests.pulumi.policy_cases import (
    BREACHES,
    BUCKET,
    CLUSTER,
    GROUP,
    TEMPLATE,
    Breach,
    conforming,
    good,
)

PROD = Said(environment="prod")


def test_every_policy_has_a_breach() -> None:
    assert set(BREACHES) == set(RULES)
    assert all(BREACHES.values())


@pytest.mark.parametrize(
    ("policy", "breach"),
    [
        pytest.param(policy, breach, id=f"{policy}: {breach.resource.name}")
        for policy, breaches in BREACHES.items()
        for breach in breaches
    ],
)
def test_a_breach_is_caught(policy: str, breach: Breach) -> None:
    faults = list(RULES[policy](breach.resource, PROD))
    assert any(breach.message in fault for fault in faults), faults


@pytest.mark.parametrize("policy", RULES)
@pytest.mark.parametrize("resource", conforming(), ids=lambda resource: resource.type)
def test_a_conforming_resource_passes(policy: str, resource: Resource) -> None:
    assert list(RULES[policy](resource, PROD)) == []


@pytest.mark.parametrize("policy", RULES)
@pytest.mark.parametrize("resource", conforming(), ids=lambda resource: resource.type)
def test_an_unknown_property_fails_nothing_by_itself(policy: str, resource: Resource) -> None:
    """A preview has no address of what is not made; the rule must not fail on it."""
    for name in resource.props:
        unknown = dataclasses.replace(resource, props={**resource.props, name: UNKNOWN})
        list(RULES[policy](unknown, PROD))


def test_a_stack_may_say_that_everybody_is_meant() -> None:
    [breach, *_] = BREACHES["api-is-not-open"]
    assert list(RULES["api-is-not-open"](breach.resource, Said(any_cidr=True))) == []


def test_a_cluster_without_a_public_door_is_not_open() -> None:
    cluster = dataclasses.replace(
        good(CLUSTER), props={"vpcConfig": {"endpointPublicAccess": False}}
    )
    assert list(RULES["api-is-not-open"](cluster, Said())) == []


TODAY = dt.date(2026, 11, 29)


@pytest.mark.parametrize(
    ("until", "message"),
    [
        (dt.date(2026, 11, 29), None),
        (dt.date(2026, 12, 6), None),
        (dt.date(2026, 11, 28), "the API was to be private after 2026-11-28"),
        (dt.date(2026, 12, 7), "the API is public for more than 7 days"),
    ],
)
def test_prod_s_api_is_public_for_a_week_at_most(until: dt.date, message: str | None) -> None:
    [breach, *_] = BREACHES["prod-is-private"]
    said = Said(environment="prod", today=TODAY, public_until=until)
    faults = list(RULES["prod-is-private"](breach.resource, said))
    assert [fault.partition(":")[0] for fault in faults] == ([message] if message else [])


@pytest.mark.parametrize("environment", ["dev", "staging"])
def test_only_prod_s_api_has_to_be_private(environment: str) -> None:
    for breach in BREACHES["prod-is-private"]:
        assert list(RULES["prod-is-private"](breach.resource, Said(environment=environment))) == []


def test_pods_may_be_the_node_where_there_is_one_role_only() -> None:
    rule = RULES["nodes-ask-for-tokens"]
    options = {"httpTokens": "required", "httpPutResponseHopLimit": 2}
    template = dataclasses.replace(good(TEMPLATE), props={"metadataOptions": options})
    assert list(rule(template, Said())) != []
    assert list(rule(template, Said(pods_are_the_node=True))) == []


@pytest.mark.parametrize("environment", ["dev", "staging"])
def test_only_prod_has_to_be_protected(environment: str) -> None:
    for breach in BREACHES["prod-is-protected"]:
        said = Said(environment=environment)
        assert list(RULES["prod-is-protected"](breach.resource, said)) == []


def _guards(bucket: str) -> list[Resource]:
    kinds = (
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "aws:s3/bucketPolicy:BucketPolicy",
    )
    refers: Mapping[str, frozenset[str]] = {"bucket": frozenset({bucket})}
    return [Resource(type=kind, name=kind, props={}, refers=refers) for kind in kinds]


def test_a_bucket_with_its_guards_passes() -> None:
    bucket = Resource(type=BUCKET, name="b", props={}, urn="urn:b")
    assert list(buckets_are_guarded([bucket, *_guards("urn:b")], PROD)) == []


@pytest.mark.parametrize("missing", range(3))
def test_a_bucket_that_lacks_a_guard_is_caught(missing: int) -> None:
    bucket = Resource(type=BUCKET, name="b", props={}, urn="urn:b")
    guards = _guards("urn:b")
    lacking = guards.pop(missing)
    [(fault, urn)] = buckets_are_guarded([bucket, *guards], PROD)
    assert urn == "urn:b"
    assert lacking.type.rpartition(":")[2] in fault


def test_another_bucket_s_guards_do_not_count() -> None:
    bucket = Resource(type=BUCKET, name="b", props={}, urn="urn:b")
    assert len(list(buckets_are_guarded([bucket, *_guards("urn:other")], PROD))) == 3


def _cluster(*, auto: bool) -> Resource:
    return Resource(
        type=CLUSTER, name="c", props={"computeConfig": {"enabled": True}} if auto else {}, urn="c"
    )


def _config_map(**changes: Any) -> Resource:
    props = {
        "metadata": {"name": "amazon-vpc-cni", "namespace": "kube-system"},
        "data": {"enable-network-policy-controller": "true"},
        **changes,
    }
    return Resource(type="kubernetes:core/v1:ConfigMap", name="m", props=props)


def _vpc_cni(configuration: str | None) -> Resource:
    props = {"addonName": "vpc-cni", "configurationValues": configuration}
    return Resource(type="aws:eks/addon:Addon", name="a", props=props)


ENFORCED = [
    [_cluster(auto=True), _config_map()],
    [_cluster(auto=False), _vpc_cni('{"enableNetworkPolicy": "true"}')],
]
NOT_ENFORCED = [
    [_cluster(auto=True)],
    # The add-on's switch says nothing in Auto Mode, and the other way round.
    [_cluster(auto=True), _vpc_cni('{"enableNetworkPolicy": "true"}')],
    [_cluster(auto=True), _config_map(data={"enable-network-policy-controller": "false"})],
    [_cluster(auto=True), _config_map(data={})],
    [_cluster(auto=True), _config_map(metadata={"name": "amazon-vpc-cni", "namespace": "default"})],
    [_cluster(auto=False), _config_map()],
    [_cluster(auto=False), _vpc_cni(None)],
    [_cluster(auto=False), _vpc_cni("{}")],
]


@pytest.mark.parametrize("resources", ENFORCED)
def test_a_cluster_that_enforces_network_policies_passes(resources: list[Resource]) -> None:
    assert list(network_policies_are_enforced(resources, PROD)) == []


def test_a_preview_of_a_cluster_to_be_made_passes() -> None:
    """The engine knows no property of an object before there is a cluster to ask about it."""
    unknown = [dataclasses.replace(each, props={}) for each in (_config_map(), _class())]
    resources = [_cluster(auto=True), *unknown]
    assert list(network_policies_are_enforced(resources, PROD)) == []
    assert list(volumes_are_kept(resources, PROD)) == []


@pytest.mark.parametrize("resources", NOT_ENFORCED)
def test_a_cluster_that_only_accepts_network_policies_is_caught(resources: list[Resource]) -> None:
    [(fault, urn)] = network_policies_are_enforced(resources, PROD)
    assert urn == "c"
    assert fault.startswith("NetworkPolicies mean nothing")


TAG = "sluice.dev/snapshots=sluice-prod"


def _class(*, policy: str = "Retain", tag: str | None = TAG) -> Resource:
    parameters = {"encrypted": "true"} | ({"tagSpecification_1": tag} if tag else {})
    props = {"reclaimPolicy": policy, "parameters": parameters}
    return Resource(
        type="kubernetes:storage.k8s.io/v1:StorageClass", name="s", props=props, urn="s"
    )


def _schedule(*, state: str = "ENABLED", value: str = "sluice-prod") -> Resource:
    tags = {"targetTags": {"sluice.dev/snapshots": value}}
    props = {"state": state, "policyDetails": tags}
    return Resource(type="aws:dlm/lifecyclePolicy:LifecyclePolicy", name="l", props=props)


@pytest.mark.parametrize(
    ("resources", "environment"),
    [
        ([_cluster(auto=True), _class(), _schedule()], "prod"),
        ([_cluster(auto=True), _class(tag=None)], "dev"),
    ],
)
def test_volumes_that_are_kept_pass(resources: list[Resource], environment: str) -> None:
    assert list(volumes_are_kept(resources, Said(environment=environment))) == []


@pytest.mark.parametrize(
    ("resources", "environment", "message"),
    [
        (
            [_cluster(auto=True), _class(policy="Delete"), _schedule()],
            "dev",
            "go with their claims",
        ),
        ([_cluster(auto=True), _class(tag=None), _schedule()], "prod", "have no snapshots"),
        ([_cluster(auto=True), _class()], "dev", "nothing takes snapshots of volumes with its tag"),
        ([_cluster(auto=True), _class(), _schedule(state="DISABLED")], "prod", "nothing takes"),
        ([_cluster(auto=True), _class(), _schedule(value="sluice-dev")], "prod", "nothing takes"),
    ],
)
def test_volumes_that_can_be_lost_are_caught(
    resources: list[Resource], environment: str, message: str
) -> None:
    [(fault, _)] = volumes_are_kept(resources, Said(environment=environment))
    assert message in fault


def _subnet(*, roles: Sequence[str]) -> Resource:
    tags = {f"kubernetes.io/role/{role}": "1" for role in roles}
    kind = "aws:ec2/subnet:Subnet"
    return Resource(type=kind, name="s", props={"tags": tags}, urn="urn:s")


def _nodes(kind: str, *, within: str) -> Resource:
    return Resource(type=kind, name="n", props={}, refers={"subnetIds": frozenset({within})})


@pytest.mark.parametrize("role", ["elb", "internal-elb"])
@pytest.mark.parametrize("kind", [CLUSTER, GROUP])
def test_a_load_balancers_subnet_with_pods_is_caught(role: str, kind: str) -> None:
    [(fault, urn)] = load_balancers_are_apart(
        [_subnet(roles=[role]), _nodes(kind, within="urn:s")], PROD
    )
    assert urn == "urn:s"
    assert "share it" in fault


@pytest.mark.parametrize(("roles", "within"), [([], "urn:s"), (["elb"], "urn:other")])
def test_subnets_of_one_kind_pass(roles: list[str], within: str) -> None:
    resources = [_subnet(roles=roles), _nodes(GROUP, within=within)]
    assert list(load_balancers_are_apart(resources, PROD)) == []


def test_every_rule_is_a_policy_that_says_what_it_is() -> None:
    made = policies()
    assert {policy.name for policy in made} == {*RULES, *STACK_RULES}
    assert all(policy.description.endswith(".") for policy in made)


@pytest.mark.parametrize("stack", STACKS)
def test_every_stack_is_tagged_with_what_it_is(declare: Declare, stack: str) -> None:
    vpc = declare(stack).one("ec2/vpc:Vpc")
    assert set(vpc["tags"]) == set(REQUIRED)
    assert vpc["tags"]["Environment"] == ours(stack)["sluice:environment"]
    assert vpc["tags"]["Owner"] == ours(stack)["sluice:owner"]
    assert vpc["tags"]["Name"] == f"sluice-{stack}-vpc"
