"""The settings of a stack's nodes."""

import re
from typing import Literal

from pydantic import Field, model_validator

from sluice_infra.settings_group import Group, Text

Architecture = Literal["amd64", "arm64"]

_GRAVITON = re.compile(r"(a1|[a-z]+[0-9]+[a-z]*g[a-z]*)\.")
"""An instance family with a g after its generation, as in m7g, c6gn or im4gn; g5 has none."""


def architecture_of(instance_type: str) -> Architecture:
    """Return what an instance type runs, by the naming convention of EC2's instance types."""
    return "arm64" if _GRAVITON.match(instance_type) else "amd64"


class NodePoolSettings(Group):
    """The NodePool for Workflows, in Auto Mode. It has no nodes while nothing runs."""

    cpu_limit: int = Field(64, ge=2, le=10_000, description="Most vCPUs of all its nodes.")
    capacity_types: tuple[Literal["spot", "on-demand"], ...] = Field(
        ("spot", "on-demand"),
        min_length=1,
        description="What its nodes may be; with both, on-demand where there is no spot capacity.",
    )
    architectures: tuple[Literal["amd64", "arm64"], ...] = Field(
        ("amd64", "arm64"),
        min_length=1,
        description="Architectures of its nodes; each step's image has to exist for all of them.",
    )


class NodeGroupSettings(Group):
    """A managed node group."""

    instance_types: tuple[Text, ...] = Field(
        min_length=1, description="Instance types of one architecture, the preferred one first."
    )
    desired_size: int = Field(ge=0, le=100, description="Number of nodes; nothing changes it.")
    disk_gib: int = Field(50, ge=20, le=1000, description="Each node's disk.")

    @property
    def architecture(self) -> Architecture:
        """The one of its instance types."""
        return architecture_of(self.instance_types[0])

    @model_validator(mode="after")
    def _of_one_architecture(self) -> "NodeGroupSettings":
        if len({architecture_of(each) for each in self.instance_types}) > 1:
            raise ValueError("instanceTypes mixes arm64 and amd64, and a node group has one AMI")
        return self


class NodeSettings(Group):
    """Nodes: EKS Auto Mode, or managed node groups without an autoscaler."""

    mode: Literal["auto", "managed"] = Field("auto", description="Who makes nodes.")
    node_pool: NodePoolSettings = NodePoolSettings()
    services: NodeGroupSettings | None = Field(
        None, description="On-demand node group for everything but Workflows; mode managed."
    )
    workflows: NodeGroupSettings | None = Field(
        None, description="Spot node group, tainted, for Workflows; mode managed."
    )

    @model_validator(mode="after")
    def _fits_the_mode(self) -> "NodeSettings":
        groups = [self.services, self.workflows]
        if self.mode == "managed" and None in groups:
            raise ValueError("mode managed needs services and workflows")
        if self.mode == "auto" and any(groups):
            raise ValueError("mode auto has no node groups: nodePool is its setting")
        if self.mode == "managed" and "node_pool" in self.model_fields_set:
            raise ValueError("mode managed has no nodePool: workflows is its node group")
        return self
