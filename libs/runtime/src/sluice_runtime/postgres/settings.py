"""Settings of the connection to PostgreSQL."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from sluice_runtime.durations import Duration

__all__ = ["PostgresSettings"]


class PostgresSettings(BaseModel):
    """The connection to PostgreSQL 13 or later."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: Annotated[str, Field(description="Server, or the folder of its socket.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535, description="Port of the server.")] = 5432
    database: Annotated[
        str,
        Field(
            description="Database of Sluice's own. The user must own it, or the extension pg_trgm "
            "must be there."
        ),
    ] = "sluice"
    username: Annotated[str, Field(description="User, who may create tables.")] = "sluice"
    password: Annotated[SecretStr | None, Field(description="Password of the user.")] = None
    password_file: Annotated[
        Path | None,
        Field(description="File with the password, read for every connection: it may be renewed."),
    ] = None
    aws_region: Annotated[
        str | None,
        Field(
            pattern=r"^[a-z0-9-]+$",
            description="For Amazon RDS with IAM: the region. The AWS identity of the process "
            "signs a password for every connection.",
        ),
    ] = None
    tls: Annotated[
        Literal["verify-full", "require", "disable"],
        Field(
            description="Whether connections are encrypted, and whether the server has to prove "
            "who it is; `require` is encrypted, but with anyone."
        ),
    ] = "verify-full"
    ca_file: Annotated[
        Path | None, Field(description="Trusted authorities, in PEM; None: those of the system.")
    ] = None
    connections: Annotated[
        int, Field(ge=3, description="Connections of each replica at most, and one that listens.")
    ] = 10
    timeout: Annotated[
        Duration, Field(description="For a connection, or an answer, before it counts as lost.")
    ] = timedelta(seconds=30)

    @model_validator(mode="after")
    def _one_source_of_the_password(self) -> Self:
        given = [each for each in (self.password, self.password_file, self.aws_region) if each]
        if len(given) > 1:
            raise ValueError("Only one of password, password_file and aws_region can be given.")
        if self.aws_region and self.tls == "disable":
            raise ValueError("aws_region needs TLS: Amazon RDS accepts IAM over TLS only.")
        return self
