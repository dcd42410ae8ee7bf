"""Settings of the gateway."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    model_validator,
)

from sluice_contracts.topics import MAX_REQUEST_BYTES
from sluice_gateway.auth_settings import AuthSettings
from sluice_gateway.domain.browser_access import BrowserAccess
from sluice_gateway.http_settings import HttpSettings
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
    "StepLogSettings",
    "StoreSettings",
    "ViewSettings",
    "WorkflowSettings",
]


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


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


class StepLogSettings(_Group):
    """The logs of steps, which the log-relay reads; without it there are none."""

    relay_url: Annotated[
        str | None,
        Field(
            pattern=r"^https?://[^/?#]+$",
            description="Where the log-relay is, as in `http://sluice-log-relay:8094`. None: the "
            "logs of steps are not shown.",
        ),
    ] = None
    secret_file: Annotated[
        Path | None,
        Field(
            description="File with the secret that the log-relay takes; of several lines the first "
            "is sent. It is read again when it has changed."
        ),
    ] = None
    max_line: Annotated[
        int, Field(ge=256, description="Bytes shown of a line; the rest is left out.")
    ] = 16 * 1024
    max_bytes: Annotated[
        int,
        Field(
            ge=1_000_000,
            description="Bytes of one answer. It then ends before the log does, and its reader "
            "asks for the rest.",
        ),
    ] = 64 * 1024 * 1024

    max_streams: Annotated[
        int,
        Field(
            ge=2,
            description="Logs read at a time; one more is answered with 429. One client address "
            "has half of what the others leave. Fewer than the log-relay's own `max_streams`.",
        ),
    ] = 200

    @model_validator(mode="after")
    def _relay_with_secret(self) -> Self:
        if (self.relay_url is None) != (self.secret_file is None):
            raise ValueError("relay_url and secret_file belong together: set both or neither.")
        return self


class WorkflowSettings(_Group):
    """The catalogue; the dispatcher has to be given the same."""

    catalogue_file: Annotated[
        Path | None, Field(description="YAML file with catalogue entries of your own.")
    ] = None
    limits_file: Annotated[
        Path | None,
        Field(
            description="The dispatcher's `dispatch.limits_file`, to show its limits; it is read "
            "again when it changes. Without it, `GET /v1/limits` shows none of live runs."
        ),
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
    step_logs: StepLogSettings = StepLogSettings()
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
