"""A program with each policy's breaches, or with none."""

import sys
from pathlib import Path

import pulumi

ROOT = Path(__file__).parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "pulumi/policy")]

from tests.pulumi.policy_cases import BREACHES, conforming  # noqa: E402 # the paths come first

if pulumi.Config("sluice").require_bool("breaches"):
    wanted = [breach.resource for breaches in BREACHES.values() for breach in breaches]
    # A stack's rules look at resources together.
    subnet = pulumi.CustomResource(
        "aws:ec2/subnet:Subnet", "shared", {"tags": {"kubernetes.io/role/internal-elb": "1"}}
    )
    pulumi.CustomResource("aws:eks/nodeGroup:NodeGroup", "beside", {"subnetIds": [subnet.id]})
else:
    wanted = conforming()

for resource in wanted:
    pulumi.CustomResource(
        resource.type,
        resource.name,
        dict(resource.props),
        pulumi.ResourceOptions(protect=resource.protected),
    )
