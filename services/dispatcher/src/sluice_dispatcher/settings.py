"""What can be configured of the dispatcher."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from sluice_runtime.dedupe import DedupeSettings
from sluice_runtime.durations import Duration
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.kubernetes.settings import KubernetesSettings
from sluice_runtime.probes import HealthSettings
from sluice_runtime.settings import ServiceSettings

__all__ = ["DispatchSettings", "DispatcherSettings"]

# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
InstanceId = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")
]


class DispatchSettings(BaseModel):
    """How requests are read and handled."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    group: Annotated[str, Field(description="Consumer group that all dispatchers share.")] = (
        "sluice-dispatcher"
    )
    cluster: Annotated[
        str | None,
        Field(
            description="Reads the requests of doors with this `cluster` alone, in the group of "
            "this name: `<group>.<cluster>`. None: of the default topics, and doors without one."
        ),
    ] = None
    concurrency: Annotated[
        int,
        Field(
            ge=1,
            description="Calls to Kafka and Kubernetes at a time; Argo itself is far slower.",
        ),
    ] = 16
    max_waiting: Annotated[
        int,
        Field(
            ge=1,
            description="Records that may wait for something outside (a quota, the "
            "status-watcher) before reading pauses; active records have a limit of their own. "
            "Each topic set has an equal share, and alone is not read on when that is full.",
        ),
    ] = 4096
    max_bytes_waiting: Annotated[
        int,
        Field(ge=1, description="Bytes of waiting records before reading pauses; shared likewise."),
    ] = 32 * 1024 * 1024
    max_uncommitted: Annotated[
        int,
        Field(
            ge=1,
            description="Records of a partition, from its oldest unfinished one on, before reading "
            "of that partition pauses.",
        ),
    ] = 5000
    limits_file: Annotated[
        Path | None,
        Field(
            description="YAML file with limits of live runs and weights of tenants; it is read "
            "again when it changes. Without it, nothing is limited and live runs are not counted."
        ),
    ] = None
    queue_notice_after: Annotated[
        Duration,
        Field(
            ge=timedelta(seconds=1),
            description="How long a request waits for something outside before a notice on the "
            "status topic says for what.",
        ),
    ] = timedelta(seconds=5)
    commit_interval: Annotated[
        Duration,
        Field(
            description="Interval between offset commits; up to this much work is redelivered "
            "after a crash."
        ),
    ] = timedelta(seconds=1)

    @property
    def consumer_group(self) -> str:
        """The group of the dispatchers of this cluster: they read other topics than the rest."""
        return self.group if self.cluster is None else f"{self.group}.{self.cluster}"


class WorkflowSettings(BaseModel):
    """What every Workflow gets, whatever its catalogue entry says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    catalogue_file: Annotated[
        Path | None, Field(description="YAML file with catalogue entries of your own.")
    ] = None
    python_image: Annotated[
        str, Field(description="Image for the steps of the built-in workflows; needs only Python.")
    ] = "public.ecr.aws/docker/library/python:3.13-slim"
    ttl: Annotated[
        Duration,
        Field(description="How long Argo keeps a finished Workflow; short, to keep etcd small."),
    ] = timedelta(hours=1)
    instance_ids: Annotated[
        tuple[InstanceId, ...],
        Field(
            description="Instance ids of Argo's controllers, which share the Workflows by their "
            "names. Without any, a Workflow is for the controller that has none."
        ),
    ] = ()
    service_account: Annotated[
        str, Field(description="Service account of Argo's executor in the pods of Workflows.")
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
    def _reads_some_requests(self) -> Self:
        if not self.kafka.topic_sets.requests_of(self.dispatch.cluster):
            raise ValueError(
                f"dispatch.cluster: no door of kafka.doors has the cluster "
                f"{self.dispatch.cluster!r}, so there would be nothing to read."
            )
        return self

    @model_validator(mode="after")
    def _ledger_before_ttl(self) -> Self:
        # The finalizer alone is enough; the dedupe window promises this as well.
        if self.dedupe.ledger_freshness * 2 > self.workflows.ttl:
            raise ValueError("dedupe.ledger_freshness must be at most half of workflows.ttl.")
        return self
