"""Settings of the gateway."""

import re
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic_settings import NoDecode

from sluice_contracts.topics import MAX_REQUEST_BYTES
from sluice_gateway.auth_settings import AuthSettings, Origin, separated
from sluice_gateway.domain.browser_access import BrowserAccess
from sluice_gateway.rate_settings import RateSettings
from sluice_runtime.durations import Duration
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.postgres.settings import PostgresSettings
from sluice_runtime.settings import ServiceSettings

__all__ = [
    "AdmissionSettings",
    "AuthSettings",
    "GatewaySettings",
    "HttpSettings",
    "OutgoingSettings",
    "RateSettings",
    "StoreSettings",
    "ViewSettings",
    "WorkflowSettings",
]


_HOST_NAMES = re.compile(r"\*|(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def _networks(value: object) -> object:
    parts = separated(value)
    if not isinstance(parts, list | tuple):
        return parts
    try:
        return tuple(ip_network(str(each)) for each in parts)
    except ValueError as e:
        raise ValueError("Must be networks, as in 10.0.0.0/16,fd00::/8.") from e


def _host_names(value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(_HOST_NAMES.fullmatch(each) for each in value):
        raise ValueError("Must be names without ports, as in runs.example.com,*.internal; or *.")
    return value


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HttpSettings(_Group):
    """How HTTP is served. The time-outs keep slow or silent clients from holding connections."""

    host: Annotated[
        str,
        Field(description="Address to listen on; loopback unless you decide otherwise."),
    ] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on; 0: any.")] = 8080
    greeting: Annotated[
        str, Field(max_length=1000, description="What `GET /` says, before anything else.")
    ] = "Sluice starts Argo workflows, one per request."
    header_timeout: Annotated[
        Duration, Field(description="From the connection to the end of its first request's head.")
    ] = timedelta(seconds=10)
    body_timeout: Annotated[
        Duration, Field(description="For a request's body to come in, once its head is there.")
    ] = timedelta(seconds=15)
    body_rate: Annotated[
        int,
        Field(ge=1, description="Bytes a second at which a body has to come, within body_timeout."),
    ] = 16 * 1024
    body_grace: Annotated[
        Duration, Field(description="How long a body may pause, at its begin and later.")
    ] = timedelta(seconds=5)
    idle_timeout: Annotated[
        Duration,
        Field(description="For the next request on an open connection; above a proxy's (60 s)."),
    ] = timedelta(seconds=75)
    write_timeout: Annotated[
        Duration, Field(description="For the reader of a stream to take what was written.")
    ] = timedelta(seconds=30)
    farewell: Annotated[
        Duration,
        Field(
            description="How long to go on serving after a signal to stop. Behind a Service or a "
            "load balancer: until all have noticed, and longer than clients keep idle connections."
        ),
    ] = timedelta(0)
    keepalive: Annotated[
        Duration,
        Field(description="Silence after which a stream gets a comment, so that proxies keep it."),
    ] = timedelta(seconds=15)
    max_connections: Annotated[
        int,
        Field(
            ge=1,
            description="Open connections. One more takes the place of one that is idle, or is "
            "answered with 503 and closed.",
        ),
    ] = 4096
    peer_share: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="How much one client address may hold of what the others leave: of "
            "connections, and of all that admission bounds. 1: everything.",
        ),
    ] = 0.5
    trusted_proxies: Annotated[
        tuple[IPv4Network | IPv6Network, ...],
        NoDecode,
        BeforeValidator(_networks),
        Field(
            description="Proxies whose X-Forwarded-For says who the client is, as in "
            "`10.0.0.0/16,fd00::/8`. Without, all clients behind a proxy share its part."
        ),
    ] = ()
    allowed_hosts: Annotated[
        tuple[str, ...],
        NoDecode,
        BeforeValidator(separated),
        AfterValidator(_host_names),
        Field(
            description="Host names by which clients reach the gateway, as in "
            "`runs.example.com,*.internal`; `*`: any. Addresses and localhost always do; another "
            "name is answered with 421, against DNS rebinding."
        ),
    ] = ()
    cors_origins: Annotated[
        tuple[Origin, ...],
        NoDecode,
        BeforeValidator(separated),
        Field(
            description="Other sites whose pages may use the API (CORS), as in "
            "`https://dashboard.example.com`. They authenticate by a header, never by a cookie."
        ),
    ] = ()


class AdmissionSettings(_Group):
    """How many requests for runs are taken on at a time; one more is answered with 429."""

    max_requests: Annotated[
        int, Field(ge=1, description="Requests in flight: their bodies have arrived.")
    ] = 512
    max_bytes: Annotated[
        int,
        Field(
            ge=2_000_000,
            description="Bytes that have arrived of bodies, complete or not. Decoded and encoded "
            "again, a body takes up some four times its size.",
        ),
    ] = 16 * 1024 * 1024


class OutgoingSettings(_Group):
    """What is held for readers who may be slow, of event streams and of large states.

    One more gets 429. A peer is one client address; a proxy is one for all clients behind it.
    """

    max_bytes: Annotated[
        int,
        Field(ge=4_000_000, description="Bytes held: 64 KiB for each stream, and whole states."),
    ] = 96 * 1024 * 1024
    max_bytes_per_peer: Annotated[
        int, Field(ge=4_000_000, description="Bytes of them for one peer.")
    ] = 32 * 1024 * 1024
    max_streams: Annotated[int, Field(ge=1, description="Event streams in all.")] = 1000
    max_streams_per_peer: Annotated[int, Field(ge=1, description="Event streams of one peer.")] = (
        250
    )
    shared_bytes: Annotated[
        int,
        Field(ge=4_000_000, description="Additional bytes of events that all streams share."),
    ] = 32 * 1024 * 1024


class ViewSettings(_Group):
    """The view of runs, `view.sqlite` in `data_dir`."""

    patience: Annotated[
        Duration,
        Field(
            description="How long a request for a run that is not known here waits until all that "
            "the topics hold is read; then the answer is 503, not 404."
        ),
    ] = timedelta(seconds=3)
    start_patience: Annotated[
        Duration,
        Field(
            description="How long a start waits, not ready, until the topics are read. Then it is "
            "ready all the same: requests are taken without the view."
        ),
    ] = timedelta(minutes=2)
    max_bytes: Annotated[
        ByteSize,
        Field(
            ge=16 * 1024 * 1024,
            description="Size of the file, as in 3GiB; beyond it the oldest finished runs go, "
            "their events first. Leave a quarter of the volume free.",
        ),
    ] = ByteSize(3 * 1024**3)


class StoreSettings(_Group):
    """Where the view of runs is kept."""

    kind: Annotated[
        Literal["sqlite", "postgres"],
        Field(
            description="`sqlite`: a file of each replica, with bounded size. `postgres`: a "
            "database that all replicas share."
        ),
    ] = "sqlite"
    history: Annotated[
        Duration,
        Field(
            description="How long a run is kept after its last event, at least: not shorter than "
            "the topics keep it."
        ),
    ] = timedelta(days=30)
    group: Annotated[
        str,
        Field(
            min_length=1,
            description="Consumer group of the replicas that share a database: they project the "
            "topics into it together.",
        ),
    ] = "sluice-gateway"
    postgres: PostgresSettings = PostgresSettings()


class WorkflowSettings(_Group):
    """The catalogue; the dispatcher has to be given the same."""

    catalogue_file: Annotated[
        Path | None, Field(description="YAML file with catalogue entries of your own.")
    ] = None


class GatewaySettings(ServiceSettings):
    """Settings of the gateway."""

    http: HttpSettings = HttpSettings()
    # Nothing is a good default, so a validator says what there is to choose from.
    auth: Annotated[AuthSettings, Field(default_factory=dict)]
    kafka: KafkaSettings = KafkaSettings()
    admission: AdmissionSettings = AdmissionSettings()
    outgoing: OutgoingSettings = OutgoingSettings()
    view: ViewSettings = ViewSettings()
    store: StoreSettings = StoreSettings()
    workflows: WorkflowSettings = WorkflowSettings()
    rates: RateSettings = RateSettings()
    dead_letters: Annotated[
        int,
        Field(ge=100, description="How many dead letters are listed, shared by the partitions."),
    ] = 10_000
    send_timeout: Annotated[
        Duration,
        Field(
            description="For Kafka to acknowledge a request, before the answer that its "
            "outcome is unknown."
        ),
    ] = timedelta(seconds=10)

    def browser_access(self) -> BrowserAccess:
        """Return what browsers may do here for pages of which sites."""
        return BrowserAccess(
            public_origin=self.auth.sign_in.public_origin,
            other_origins=frozenset(self.http.cors_origins),
        )

    @model_validator(mode="after")
    def _one_peer_can_send_the_largest_body(self) -> Self:
        if self.admission.max_bytes * self.http.peer_share < MAX_REQUEST_BYTES:
            raise ValueError(
                "http.peer_share of admission.max_bytes must have room for one body of "
                f"{MAX_REQUEST_BYTES} bytes: raise one of them."
            )
        return self

    @model_validator(mode="after")
    def _farewell_within_grace(self) -> Self:
        if self.http.farewell >= self.shutdown_grace:
            raise ValueError(
                "http.farewell must be shorter than shutdown_grace: it is a part of it."
            )
        return self
