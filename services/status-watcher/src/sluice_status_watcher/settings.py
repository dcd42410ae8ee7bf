"""The settings of the status-watcher."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sluice_argo.watch_settings import WatchSettings
from sluice_runtime.dedupe import DedupeSettings
from sluice_runtime.durations import Duration
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.kubernetes.settings import KubernetesSettings
from sluice_runtime.settings import ServiceSettings

__all__ = ["LeaseSettings", "Settings"]


class LeaseSettings(BaseModel):
    """The leader election: of several status-watchers one works, and the others stand by."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[
        str | None,
        Field(description="Name of the Lease. None: no election, this process always works."),
    ] = None
    namespace: Annotated[
        str | None, Field(description="Namespace of the Lease. None: that of the Workflows.")
    ] = None
    holder: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Name of this process in the Lease; no other process may have it. A "
            "process that restarts under its name continues at once. None: a new name each time.",
        ),
    ] = None
    duration: Annotated[
        Duration,
        Field(
            ge=timedelta(seconds=1),
            description="A Lease that was not renewed for so long has expired: so much later "
            "another process takes over after a crash.",
        ),
    ] = timedelta(seconds=15)
    renew_every: Annotated[
        Duration,
        Field(
            gt=timedelta(0),
            description="Longest interval between two renewals, or two attempts to acquire the "
            "Lease; each costs a request.",
        ),
    ] = timedelta(seconds=3)

    @model_validator(mode="after")
    def _renewed_in_time(self) -> Self:
        if self.renew_every * 2 > self.duration:
            raise ValueError("renew_every must not be longer than half of duration.")
        return self


class Settings(ServiceSettings):
    """All settings of the status-watcher."""

    kafka: KafkaSettings = KafkaSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()
    watch: WatchSettings = WatchSettings()
    lease: LeaseSettings = LeaseSettings()
    dedupe: DedupeSettings = DedupeSettings()
    send_timeout: Annotated[
        Duration,
        Field(description="An event that is not acknowledged within this time is sent again."),
    ] = timedelta(seconds=10)
    concurrency: Annotated[
        int, Field(ge=1, description="Workflows worked on side by side; the others wait.")
    ] = 32
    max_pending: Annotated[
        int,
        Field(
            ge=1,
            description="States that may wait while Kafka is away. After that the watch is not "
            "read any more, and a new list shows what was missed.",
        ),
    ] = 1000
    max_bytes: Annotated[
        int,
        Field(
            ge=1,
            description="Estimated bytes of memory that waiting states may take before the watch "
            "is not read any more; as many again for states worked on. A larger state is held "
            "alone.",
        ),
    ] = 32 * 1024 * 1024
