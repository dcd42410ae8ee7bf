"""Settings of the connection to Kafka."""

from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from aiokafka.abc import AbstractTokenProvider
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from sluice_contracts.record_origins import RecordOrigins
from sluice_contracts.signatures import KeyRing
from sluice_contracts.topic_sets import Door, TopicSets
from sluice_contracts.topics import TopicNames
from sluice_runtime.durations import Duration
from sluice_runtime.kafka.auth.msk_iam import MskIamTokens
from sluice_runtime.kafka.auth.tls import ReloadingSSLContext
from sluice_runtime.kafka.auth.token_file import TokenFile, patch_oauth_error_handling
from sluice_runtime.kafka.tenant_files import read_doors, read_signing_keys

__all__ = ["KafkaSettings", "connection"]


class KafkaSettings(BaseModel):
    """The connection to Kafka, and the names of its topics."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bootstrap_servers: Annotated[
        str, Field(description="Brokers for the first connection: `host:port`, comma-separated.")
    ] = "127.0.0.1:9092"
    topics: TopicNames = TopicNames()
    doors: Annotated[
        tuple[Door, ...],
        Field(
            description="Topic sets of some tenants' own; `topics` serve all others. The same in "
            "all services. In a variable: JSON, as in "
            '`[{"name": "acme", "tenants": ["acme"]}]`.'
        ),
    ] = ()
    doors_file: Annotated[
        Path | None,
        Field(description="YAML file with the same under `doors`, instead of `doors`."),
    ] = None
    signing_keys_file: Annotated[
        Path | None,
        Field(
            description="YAML file with `keys`, each with `tenant` and `secret`, by which records "
            "on a topic of several tenants have to be signed; gateway and dispatcher need it. "
            "Without it, any writer of such a topic may name any of its tenants."
        ),
    ] = None
    trust_requested_by: Annotated[
        bool,
        Field(
            description="Whether requests may say who has asked, in `ce_authid`: only if the "
            "gateway alone can write to the request topics. The same in gateway and dispatcher."
        ),
    ] = False
    controls_topic: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Topic of records that pause tenants and workflows, such as "
            "`sluice.controls`; the dispatcher reads it. None: nothing is paused by records.",
        ),
    ] = None
    partitions: Annotated[
        int, Field(ge=1, description="Partitions of topics that Sluice creates.")
    ] = 6
    replication_factor: Annotated[
        int, Field(ge=1, description="Replicas of topics that Sluice creates.")
    ] = 3
    request_timeout: Annotated[
        Duration, Field(description="Time limit of one request to a broker.")
    ] = timedelta(seconds=10)
    session_timeout: Annotated[
        Duration,
        Field(
            description="A consumer that is silent for this long loses its partitions. Longer than "
            "a short pause of the process."
        ),
    ] = timedelta(seconds=45)
    instance_id: Annotated[
        str | None,
        Field(
            description="Static membership (KIP-345): a consumer that returns with this id gets "
            "its partitions back at once. Must be unique per replica."
        ),
    ] = None
    security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"],
        Field(description="Encryption and authentication of connections."),
    ] = "PLAINTEXT"
    sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"],
        Field(description="Mechanism for the SASL protocols."),
    ] = "SCRAM-SHA-512"
    username: Annotated[str | None, Field(description="User name for PLAIN and SCRAM.")] = None
    password: Annotated[SecretStr | None, Field(description="Password for PLAIN and SCRAM.")] = None
    token_file: Annotated[
        Path | None,
        Field(description="For OAUTHBEARER: file with a token, read for every connection."),
    ] = None
    aws_region: Annotated[
        str | None,
        Field(
            pattern=r"^[a-z0-9-]+$",
            description="For OAUTHBEARER with Amazon MSK and IAM: the region. The AWS identity of "
            "the process signs the tokens.",
        ),
    ] = None
    ca_file: Annotated[
        Path | None, Field(description="Trusted authorities, in PEM; None: those of the system.")
    ] = None
    certificate_file: Annotated[
        Path | None,
        Field(description="Client certificate, in PEM, with its intermediate certificates."),
    ] = None
    key_file: Annotated[
        Path | None, Field(description="Key of the client certificate, in PEM, not encrypted.")
    ] = None

    @model_validator(mode="after")
    def _complete_credentials(self) -> Self:
        sasl = self.security_protocol.startswith("SASL")
        if sasl and self.sasl_mechanism == "OAUTHBEARER":
            self._require_one_source_of_tokens()
        elif self.token_file or self.aws_region:
            raise ValueError(
                "token_file and aws_region need a SASL protocol and sasl_mechanism OAUTHBEARER."
            )
        elif sasl and not (self.username and self.password):
            raise ValueError(f"{self.security_protocol} needs username and password.")
        return self

    def _require_one_source_of_tokens(self) -> None:
        if self.username or self.password:
            raise ValueError("OAUTHBEARER uses tokens, not username and password.")
        if not (self.token_file or self.aws_region):
            raise ValueError("OAUTHBEARER needs token_file, or aws_region for Amazon MSK.")
        if self.token_file and self.aws_region:
            raise ValueError("OAUTHBEARER uses token_file or aws_region, not both.")
        if self.aws_region and self.security_protocol != "SASL_SSL":
            raise ValueError("aws_region needs SASL_SSL: Amazon MSK accepts IAM over TLS only.")

    @model_validator(mode="after")
    def _one_set_for_every_topic_and_tenant(self) -> Self:
        if self.doors and self.doors_file:
            raise ValueError("doors and doors_file: only one of them can be given.")
        self.topic_sets  # noqa: B018 - raises what is wrong with it
        return self

    @model_validator(mode="after")
    def _certificate_with_key(self) -> Self:
        if bool(self.certificate_file) != bool(self.key_file):
            missing = "key_file" if self.certificate_file else "certificate_file"
            raise ValueError(f"certificate_file and key_file go together; {missing} is missing.")
        if self.certificate_file and not self.uses_tls:
            raise ValueError("certificate_file and key_file need SSL or SASL_SSL.")
        return self

    @cached_property
    def _doors(self) -> tuple[Door, ...]:
        return self.doors if self.doors_file is None else read_doors(self.doors_file)

    @property
    def topic_sets(self) -> TopicSets:
        """The topics of every tenant; the file of doors is read once."""
        return TopicSets(self.topics, self._doors)

    @cached_property
    def signing_keys(self) -> KeyRing | None:
        """The keys by which tenants sign; the file is read once.

        Raises:
            TenantFileError: it cannot be used.
        """
        return None if self.signing_keys_file is None else read_signing_keys(self.signing_keys_file)

    @property
    def origins(self) -> RecordOrigins:
        """What decides whether a record is from the tenant that it names."""
        return RecordOrigins(
            self.topic_sets, keys=self.signing_keys, trusts_authors=self.trust_requested_by
        )

    @property
    def uses_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.security_protocol in {"SSL", "SASL_SSL"}

    @property
    def in_sync_replicas(self) -> int:
        """The number of replicas that must have a record before it counts as acknowledged."""
        return 2 if self.replication_factor >= 3 else 1  # noqa: PLR2004 - one of two may be down


def connection(settings: KafkaSettings, *, client_id: str) -> dict[str, Any]:
    """Return the arguments that all aiokafka clients have in common.

    Raises:
        CredentialsError: a certificate, key or token file is unusable.
    """
    arguments: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers,
        "client_id": client_id,
        "request_timeout_ms": int(settings.request_timeout.total_seconds() * 1000),
        "security_protocol": settings.security_protocol,
    }
    if settings.uses_tls:
        arguments["ssl_context"] = ReloadingSSLContext.of(
            ca_file=settings.ca_file,
            certificate_file=settings.certificate_file,
            key_file=settings.key_file,
        )
    if settings.security_protocol.startswith("SASL"):
        arguments["sasl_mechanism"] = settings.sasl_mechanism
        arguments |= _credentials(settings)
    return arguments


def _credentials(settings: KafkaSettings) -> dict[str, Any]:
    if settings.sasl_mechanism == "OAUTHBEARER":
        patch_oauth_error_handling()
        return {"sasl_oauth_token_provider": _tokens(settings)}
    return {
        "sasl_plain_username": settings.username,
        "sasl_plain_password": settings.password.get_secret_value() if settings.password else None,
    }


def _tokens(settings: KafkaSettings) -> AbstractTokenProvider:
    if settings.aws_region:
        return MskIamTokens(settings.aws_region)
    if settings.token_file is None:
        raise AssertionError("Settings without a source of tokens are invalid.")
    tokens = TokenFile(settings.token_file)
    # A missing file is reported at the start.
    tokens.read()
    return tokens
