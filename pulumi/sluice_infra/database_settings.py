"""The settings of a stack's database."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from sluice_infra import versions
from sluice_infra.settings_group import Group, Text

_GROWTH = 1.1
"""RDS refuses a limit of storage below this many times the disk."""


class DatabaseSettings(Group):
    """PostgreSQL by Amazon RDS, for the view that all gateways share."""

    authentication: Literal["iam", "password"] = Field(
        description="How the gateway logs in: by the role of its account, or by a password that "
        "RDS keeps in Secrets Manager and renews."
    )
    granted: bool = Field(
        default=False,
        description="With iam: the user has `rds_iam`, so the gateway can use the database.",
    )
    instance: Annotated[str, StringConstraints(pattern=r"^db\.[a-z0-9-]+\.[a-z0-9]+$")] = Field(
        "db.t4g.medium", description="Instance class."
    )
    disk_gib: int = Field(20, ge=20, le=65536, description="Its disk at first, gp3.")
    max_disk_gib: int = Field(
        200, ge=22, le=65536, description="What RDS lets the disk grow to, before it is full."
    )
    multi_az: bool = Field(
        default=False, description="A standby in another zone, for twice the price."
    )
    backup_days: int = Field(
        7, ge=1, le=35, description="Days back to which it can be restored, to any moment."
    )
    engine_version: Literal["16", "17", "18"] = Field(
        versions.POSTGRES, description="Major version; RDS upgrades minor ones by itself."
    )
    ca_file: Text = Field(
        "rds-ca.pem", description="File with the region's certificate authorities of RDS, in PEM."
    )

    @property
    def is_usable(self) -> bool:
        """Whether the gateway can log in."""
        return self.granted or self.authentication == "password"

    @model_validator(mode="after")
    def _fits(self) -> "DatabaseSettings":
        if self.max_disk_gib < self.disk_gib * _GROWTH:
            raise ValueError("maxDiskGib has to be at least 1.1 times diskGib, as RDS wants it")
        if self.granted and self.authentication == "password":
            raise ValueError("granted is for authentication iam; a password needs no grant")
        return self
