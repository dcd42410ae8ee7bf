"""A VPC over three zones: in each a public subnet, one for load balancers, and a large one."""

from collections.abc import Sequence
from ipaddress import IPv4Network

import pulumi
from pulumi_aws import ec2

from sluice_infra.naming import Naming
from sluice_infra.settings import NetworkSettings


class Network(pulumi.ComponentResource):
    """VPC, subnets, ways out, and ways to AWS' own services."""

    def __init__(
        self,
        naming: Naming,
        settings: NetworkSettings,
        *,
        region: str,
        cluster_name: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("sluice:infra:Network", naming.name("network"), None, opts)
        self._naming = naming
        self._within = pulumi.ResourceOptions(parent=self)
        cidr = IPv4Network(str(settings.cidr))

        self.vpc = ec2.Vpc(
            naming.name("vpc"),
            cidr_block=str(cidr),
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=naming.tags("vpc"),
            opts=self._within,
        )
        # Resources without a security group get this one, which allows nothing.
        ec2.DefaultSecurityGroup(
            naming.name("default"),
            vpc_id=self.vpc.id,
            tags=naming.tags("default"),
            opts=self._within,
        )
        zones = [f"{region}{letter}" for letter in settings.zones]
        private, public, balancers = subnets_of(cidr, len(zones))
        shared = {f"kubernetes.io/cluster/{cluster_name}": "shared"}
        self.public_subnets = self._subnets(
            "public", public, zones, {**shared, "kubernetes.io/role/elb": "1"}
        )
        # Pods have addresses of private subnets. Load balancers have subnets of their own, so that
        # a network policy can let them in and no pod. The VPC's main table routes them: within it.
        self._subnets(
            "balancers", balancers, zones, {**shared, "kubernetes.io/role/internal-elb": "1"}
        )
        self.private_subnets = self._subnets("private", private, zones, shared)
        private_tables = self._routes(settings)
        self._endpoints(settings, region=region, cidr=str(cidr), tables=private_tables)
        self.private_subnet_ids = [subnet.id for subnet in self.private_subnets]
        self.register_outputs({"vpcId": self.vpc.id})

    def _subnets(
        self, kind: str, cidrs: Sequence[IPv4Network], zones: Sequence[str], tags: dict[str, str]
    ) -> list[ec2.Subnet]:
        return [
            ec2.Subnet(
                self._naming.name(f"{kind}-{zone[-1]}"),
                vpc_id=self.vpc.id,
                cidr_block=str(cidr),
                availability_zone=zone,
                map_public_ip_on_launch=False,
                tags=self._naming.tags(f"{kind}-{zone[-1]}", **tags),
                opts=self._within,
            )
            for cidr, zone in zip(cidrs, zones, strict=True)
        ]

    def _routes(self, settings: NetworkSettings) -> list[ec2.RouteTable]:
        """Route public subnets to the Internet, private ones to a NAT gateway."""
        gateway = ec2.InternetGateway(
            self._naming.name("internet"),
            vpc_id=self.vpc.id,
            tags=self._naming.tags("internet"),
            opts=self._within,
        )
        table = self._table("public", self.public_subnets)
        ec2.Route(
            self._naming.name("public"),
            route_table_id=table.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway.id,
            opts=self._within,
        )
        letters = settings.zones if settings.nat == "perZone" else settings.zones[:1]
        gateways = [
            self._nat(letter, subnet, internet=gateway)
            for letter, subnet in zip(letters, self.public_subnets, strict=False)
        ]
        tables = []
        for index, (letter, subnet) in enumerate(
            zip(settings.zones, self.private_subnets, strict=True)
        ):
            name = f"private-{letter}"
            tables.append(self._table(name, [subnet]))
            ec2.Route(
                self._naming.name(name),
                route_table_id=tables[-1].id,
                destination_cidr_block="0.0.0.0/0",
                nat_gateway_id=gateways[index % len(gateways)].id,
                opts=self._within,
            )
        return tables

    def _table(self, name: str, subnets: Sequence[ec2.Subnet]) -> ec2.RouteTable:
        table = ec2.RouteTable(
            self._naming.name(name),
            vpc_id=self.vpc.id,
            tags=self._naming.tags(name),
            opts=self._within,
        )
        for subnet in subnets:
            ec2.RouteTableAssociation(
                subnet._name,  # noqa: SLF001 # Pulumi's only way to a resource's logical name
                route_table_id=table.id,
                subnet_id=subnet.id,
                opts=self._within,
            )
        return table

    def _nat(
        self, letter: str, subnet: ec2.Subnet, *, internet: ec2.InternetGateway
    ) -> ec2.NatGateway:
        name = f"nat-{letter}"
        after = pulumi.ResourceOptions(parent=self, depends_on=[internet])
        address = ec2.Eip(
            self._naming.name(name), domain="vpc", tags=self._naming.tags(name), opts=after
        )
        return ec2.NatGateway(
            self._naming.name(name),
            allocation_id=address.id,
            subnet_id=subnet.id,
            tags=self._naming.tags(name),
            opts=after,
        )

    def _endpoints(
        self,
        settings: NetworkSettings,
        *,
        region: str,
        cidr: str,
        tables: Sequence[ec2.RouteTable],
    ) -> None:
        # Costs nothing, and keeps artifacts and image layers off the NAT gateway's bill.
        ec2.VpcEndpoint(
            self._naming.name("s3"),
            vpc_id=self.vpc.id,
            service_name=f"com.amazonaws.{region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id for table in tables],
            tags=self._naming.tags("s3"),
            opts=self._within,
        )
        if not settings.interface_endpoints:
            return
        group = ec2.SecurityGroup(
            self._naming.name("endpoints"),
            description="AWS services, from within the VPC",
            vpc_id=self.vpc.id,
            ingress=[
                ec2.SecurityGroupIngressArgs(
                    protocol="tcp", from_port=443, to_port=443, cidr_blocks=[cidr]
                )
            ],
            tags=self._naming.tags("endpoints"),
            opts=self._within,
        )
        for service in settings.interface_endpoints:
            ec2.VpcEndpoint(
                self._naming.name(service),
                vpc_id=self.vpc.id,
                service_name=f"com.amazonaws.{region}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=[subnet.id for subnet in self.private_subnets],
                security_group_ids=[group.id],
                tags=self._naming.tags(service),
                opts=self._within,
            )


def subnets_of(
    cidr: IPv4Network, zones: int
) -> tuple[list[IPv4Network], list[IPv4Network], list[IPv4Network]]:
    """Cut private, public and load balancers' subnets out of a network, for each zone one of each.

    A private one is an eighth, for every pod has an address. The public ones share the last eighth
    with those of load balancers, which are in its last quarter: of a /20, a /27 each, the smallest
    that AWS allows.
    """
    eighths = list(cidr.subnets(prefixlen_diff=3))
    *public, rest = eighths[-1].subnets(prefixlen_diff=2)
    return eighths[:zones], public[:zones], list(rest.subnets(prefixlen_diff=2))[:zones]
