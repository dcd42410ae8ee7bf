"""What the dispatcher can be told."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sluice_runtime.dedupe import DedupeSettings
from sluice_runtime.durations import Duration
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.kubernetes.settings import KubernetesSettings
from sluice_runtime.probes import HealthSettings
from sluice_runtime.settings import ServiceSettings

__all__ = ["DispatchSettings", "DispatcherSettings"]


class DispatchSettings(BaseModel):
    """How requests are worked on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    group: Annotated[str, Field(description="Consumer group that all dispatchers share.")] = (
        "sluice-dispatcher"
    )
    concurrency: Annotated[
        int,
        Field(
            ge=1,
            description="Calls to Kafka and Kubernetes at once; Argo's own pace is far slower.",
        ),
    ] = 16
    max_in_hand: Annotated[
        int, Field(ge=1, description="Records being worked on, before reading pauses.")
    ] = 256
    max_bytes_in_hand: Annotated[
        int,
        Field(
            ge=1,
            description="Their bytes, as received and decoded, before reading pauses; bounds the "
            "memory.",
        ),
    ] = 32 * 1024 * 1024
    max_waiting: Annotated[
        int,
        Field(
            ge=1,
            description="Records that wait for something outside (a quota, the status-watcher), "
            "before reading pauses. They do not count as being worked on.",
        ),
    ] = 4096
    max_bytes_waiting: Annotated[
        int, Field(ge=1, description="Their bytes, before reading pauses; bounds the memory.")
    ] = 32 * 1024 * 1024
    max_uncommitted: Annotated[
        int,
        Field(ge=1, description="Records from the oldest unfinished one on, per partition."),
    ] = 5000
    commit_interval: Annotated[
        Duration, Field(description="Between commits; after a crash so much is looked at again.")
    ] = timedelta(seconds=1)


class WorkflowSettings(BaseModel):
    """What every Workflow is given, whatever its catalogue entry says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    catalogue_file: Annotated[
        Path | None, Field(description="YAML file with catalogue entries of your own.")
    ] = None
    python_image: Annotated[
        str, Field(description="Image of the built-in workflows' steps: Python, no more.")
    ] = "python:3.13-slim"
    ttl: Annotated[
        Duration,
        Field(description="How long a finished Workflow stays; short, so that etcd stays small."),
    ] = timedelta(hours=1)
    service_account: Annotated[
        str, Field(description="Account of Argo's executor in the Workflow's pods.")
    ] = "sluice-executor"


class DispatcherSettings(ServiceSettings):
    """The dispatcher's settings."""

    health: HealthSettings = HealthSettings(port=8091)
    kafka: KafkaSettings = KafkaSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()
    dispatch: DispatchSettings = DispatchSettings()
    dedupe: DedupeSettings = DedupeSettings()
    workflows: WorkflowSettings = WorkflowSettings()

    @model_validator(mode="after")
    def _ledger_before_ttl(self) -> Self:
        # The finalizer alone is enough; this is what the dedupe window promises besides.
        if self.dedupe.ledger_freshness * 2 > self.workflows.ttl:
            raise ValueError("dedupe.ledger_freshness must be at most half of workflows.ttl.")
        return self
