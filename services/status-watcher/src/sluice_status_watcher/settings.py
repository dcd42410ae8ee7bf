"""What the status-watcher can be told."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sluice_runtime.dedupe import DedupeSettings
from sluice_runtime.durations import Duration
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.kubernetes.settings import KubernetesSettings
from sluice_runtime.settings import ServiceSettings

__all__ = ["LeaseSettings", "Settings", "WatchSettings"]


class WatchSettings(BaseModel):
    """How the API server is listed and watched."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    page_size: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            description="Workflows per page of a list; one may have 1.5 MB, which take several "
            "times that in memory, and a page must stay under 64 MiB.",
        ),
    ] = 10
    timeout_least: Annotated[
        Duration, Field(description="A watch request ends after a random time, at least this.")
    ] = timedelta(seconds=240)
    timeout_most: Annotated[
        Duration, Field(description="And at most this, so that not all watches end together.")
    ] = timedelta(seconds=480)
    grace: Annotated[
        Duration, Field(description="How much later than agreed the server may end a watch.")
    ] = timedelta(seconds=30)
    silence: Annotated[
        Duration,
        Field(description="A stream without a byte for so long is dead; bookmarks come every 60 s"),
    ] = timedelta(seconds=75)
    relist_every: Annotated[
        Duration, Field(description="All is listed anew after this, whatever the watch says.")
    ] = timedelta(minutes=15)
    backoff_first: Annotated[
        Duration, Field(description="Pause after the first failure; doubles with each in a row.")
    ] = timedelta(milliseconds=800)
    backoff_longest: Annotated[Duration, Field(description="The longest pause.")] = timedelta(
        seconds=30
    )
    healthy_after: Annotated[
        Duration, Field(description="A watch that held for so long ends a row of failures.")
    ] = timedelta(minutes=2)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.timeout_least > self.timeout_most:
            raise ValueError("timeout_least must not be longer than timeout_most.")
        return self


class LeaseSettings(BaseModel):
    """How several take turns: one watches, the others stand by."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[
        str | None, Field(description="Of the Lease; None: this one watches, whoever else does.")
    ] = None
    namespace: Annotated[
        str | None, Field(description="Where it is; None: where the Workflows live.")
    ] = None
    holder: Annotated[
        str | None,
        Field(
            min_length=1,
            description="What this one is called there, and no other; who comes back under its "
            "name goes on at once. None: a new name for each process.",
        ),
    ] = None
    duration: Annotated[
        Duration,
        Field(
            ge=timedelta(seconds=1),
            description="Not renewed for so long, it is free: how late the next one begins after "
            "a crash.",
        ),
    ] = timedelta(seconds=15)
    renew_every: Annotated[
        Duration,
        Field(gt=timedelta(0), description="Between two looks, at most; each costs a request."),
    ] = timedelta(seconds=3)

    @model_validator(mode="after")
    def _renewed_in_time(self) -> Self:
        if self.renew_every * 2 > self.duration:
            raise ValueError("renew_every must not be longer than half of duration.")
        return self


class Settings(ServiceSettings):
    """What the status-watcher can be told."""

    kafka: KafkaSettings = KafkaSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()
    watch: WatchSettings = WatchSettings()
    lease: LeaseSettings = LeaseSettings()
    dedupe: DedupeSettings = DedupeSettings()
    send_timeout: Annotated[
        Duration, Field(description="For one event to be acknowledged before it is sent again.")
    ] = timedelta(seconds=10)
    concurrency: Annotated[
        int, Field(ge=1, description="Workflows worked on side by side; the rest wait.")
    ] = 32
    max_pending: Annotated[
        int,
        Field(
            ge=1,
            description="States that may wait while Kafka is away; then reading stops, and what "
            "was missed is listed anew. Bounds the memory.",
        ),
    ] = 1000
    max_bytes: Annotated[
        int,
        Field(
            ge=1,
            description="Bytes of memory, by estimate, of the states that wait, before reading "
            "stops, and as many again of those worked on. One that is larger has it alone.",
        ),
    ] = 32 * 1024 * 1024
