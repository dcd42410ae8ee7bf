"""How to reach Kafka."""

import ssl
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from sluice_contracts.topics import TopicNames
from sluice_runtime.durations import Duration

__all__ = ["KafkaSettings", "connection"]


class KafkaSettings(BaseModel):
    """How to reach Kafka, and what its topics are called."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bootstrap_servers: Annotated[
        str, Field(description="Brokers to start from, `host:port` with commas between.")
    ] = "127.0.0.1:9092"
    topics: TopicNames = TopicNames()
    partitions: Annotated[
        int, Field(ge=1, description="Partitions of topics that Sluice has to create.")
    ] = 6
    replication_factor: Annotated[
        int, Field(ge=1, description="Replicas of topics that Sluice has to create.")
    ] = 3
    request_timeout: Annotated[
        Duration, Field(description="For one request to a broker, before it counts as failed.")
    ] = timedelta(seconds=10)
    session_timeout: Annotated[
        Duration,
        Field(description="A consumer silent for so long loses its partitions; outlasts a pause."),
    ] = timedelta(seconds=45)
    instance_id: Annotated[
        str | None,
        Field(
            description="Static membership (KIP-345): a consumer that comes back under this name "
            "takes its partitions again at once. One per replica."
        ),
    ] = None
    security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"],
        Field(description="How connections are secured and authenticated."),
    ] = "PLAINTEXT"
    sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"],
        Field(description="Used with the SASL protocols."),
    ] = "SCRAM-SHA-512"
    username: Annotated[str | None, Field(description="For the SASL protocols.")] = None
    password: Annotated[SecretStr | None, Field(description="For the SASL protocols.")] = None
    ca_file: Annotated[
        str | None, Field(description="Certificates to trust; None: the system's own.")
    ] = None

    @model_validator(mode="after")
    def _complete_credentials(self) -> Self:
        if self.security_protocol.startswith("SASL") and not (self.username and self.password):
            raise ValueError(f"{self.security_protocol} needs username and password.")
        return self

    @property
    def in_sync_replicas(self) -> int:
        """How many replicas must have a record before it counts as acknowledged."""
        return 2 if self.replication_factor >= 3 else 1  # noqa: PLR2004 - of two, one may be away


def connection(settings: KafkaSettings, *, client_id: str) -> dict[str, Any]:
    """Give the arguments that every aiokafka client takes."""
    arguments: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers,
        "client_id": client_id,
        "request_timeout_ms": int(settings.request_timeout.total_seconds() * 1000),
        "security_protocol": settings.security_protocol,
    }
    if "SSL" in settings.security_protocol.split("_"):
        arguments["ssl_context"] = ssl.create_default_context(cafile=settings.ca_file)
    if settings.security_protocol.startswith("SASL"):
        arguments["sasl_mechanism"] = settings.sasl_mechanism
        arguments["sasl_plain_username"] = settings.username
        arguments["sasl_plain_password"] = (
            settings.password.get_secret_value() if settings.password else None
        )
    return arguments
