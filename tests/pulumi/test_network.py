"""The VPC: three zones, three kinds of subnets, and ways out by choice."""

from ipaddress import IPv4Network

import pytest

from sluice_infra.network import subnets_of
from tests.pulumi.declared import Declare


@pytest.mark.parametrize("prefix", [16, 18, 20])
def test_subnets_are_within_the_network_and_apart(prefix: int) -> None:
    whole = IPv4Network(f"10.0.0.0/{prefix}")
    private, public, balancers = subnets_of(whole, 3)
    every = [*private, *public, *balancers]
    assert all(each.subnet_of(whole) for each in every)
    assert not any(a.overlaps(b) for a in every for b in every if a is not b)
    # An address for every pod of many nodes, even in the smallest.
    assert min(each.num_addresses for each in private) >= 512
    assert max(each.num_addresses for each in public) < min(each.num_addresses for each in private)
    # The smallest subnets that AWS' load balancers accept.
    assert {each.prefixlen <= 27 for each in balancers} == {True}


@pytest.mark.parametrize("prefix", [16, 18, 20])
def test_one_block_names_all_load_balancers_and_nothing_else(prefix: int) -> None:
    """Network policies in argocd/environments name it."""
    whole = IPv4Network(f"10.0.0.0/{prefix}")
    private, public, balancers = subnets_of(whole, 3)
    *_, block = whole.subnets(prefixlen_diff=5)
    assert all(each.subnet_of(block) for each in balancers)
    assert not any(each.overlaps(block) for each in [*private, *public])


def test_there_is_a_subnet_of_each_kind_in_each_of_three_zones(declare: Declare) -> None:
    subnets = declare("dev").of("ec2/subnet:Subnet")
    zones = {"eu-central-1a", "eu-central-1b", "eu-central-1c"}
    for kind in ("public", "private", "balancers"):
        found = [each for name, each in subnets.items() if f"-{kind}-" in name]
        assert {each["availabilityZone"] for each in found} == zones
        assert len(found) == 3


def test_load_balancers_find_their_subnets_by_tags(declare: Declare) -> None:
    for name, subnet in declare("dev").of("ec2/subnet:Subnet").items():
        _, _, kind, _ = name.split("-")
        roles = {"public": {"elb"}, "balancers": {"internal-elb"}, "private": set()}[kind]
        tags = {tag for tag in subnet["tags"] if tag.startswith("kubernetes.io/role/")}
        assert tags == {f"kubernetes.io/role/{role}" for role in roles}
        assert subnet["tags"]["kubernetes.io/cluster/sluice-dev"] == "shared"


def test_nothing_gets_a_public_address_by_itself(declare: Declare) -> None:
    subnets = declare("dev").of("ec2/subnet:Subnet").values()
    assert [each["mapPublicIpOnLaunch"] for each in subnets] == [False] * 9


@pytest.mark.parametrize(("nat", "gateways", "routed"), [("single", 1, 3), ("perZone", 3, 3)])
def test_nat_is_one_for_all_or_one_for_each_zone(
    declare: Declare, nat: str, gateways: int, routed: int
) -> None:
    declared = declare("dev", {"network.nat": nat})
    assert len(declared.of("ec2/natGateway:NatGateway")) == gateways
    assert len(declared.of("ec2/eip:Eip")) == gateways
    routes = [route for route in declared.of("ec2/route:Route").values() if "natGatewayId" in route]
    assert len(routes) == routed
    assert len({route["natGatewayId"] for route in routes}) == gateways


def test_each_zone_leaves_by_its_own_nat_gateway(declare: Declare) -> None:
    routes = declare("dev", {"network.nat": "perZone"}).of("ec2/route:Route")
    for letter in "abc":
        assert routes[f"sluice-dev-private-{letter}"]["natGatewayId"] == f"sluice-dev-nat-{letter}"


def test_s3_is_reached_by_a_gateway_endpoint_from_every_private_subnet(declare: Declare) -> None:
    endpoint = declare("dev").one("ec2/vpcEndpoint:VpcEndpoint")
    assert endpoint["serviceName"] == "com.amazonaws.eu-central-1.s3"
    assert endpoint["vpcEndpointType"] == "Gateway"
    assert set(endpoint["routeTableIds"]) == {f"sluice-dev-private-{zone}" for zone in "abc"}


def test_interface_endpoints_listen_to_the_vpc_alone(declare: Declare) -> None:
    declared = declare("prod")
    endpoints = declared.of("ec2/vpcEndpoint:VpcEndpoint")
    assert set(endpoints) == {
        f"sluice-prod-{name}" for name in ("s3", "ecr.api", "ecr.dkr", "eks-auth", "logs", "sts")
    }
    assert endpoints["sluice-prod-sts"]["privateDnsEnabled"] is True
    [rule] = declared.named("ec2/securityGroup:SecurityGroup", "sluice-prod-endpoints").inputs[
        "ingress"
    ]
    assert (rule["fromPort"], rule["toPort"], rule["cidrBlocks"]) == (443, 443, ["10.2.0.0/16"])


def test_the_default_security_group_lets_nothing_through(declare: Declare) -> None:
    group = declare("dev").one("ec2/defaultSecurityGroup:DefaultSecurityGroup")
    assert "ingress" not in group
    assert "egress" not in group
