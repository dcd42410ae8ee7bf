"""Wires what requests wait for before they become runs: limits, pauses, slots and live runs."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sluice_argo.workflows_api import WorkflowsApi
from sluice_contracts.topics import TopicSpec, controls_topic
from sluice_dispatcher.adapters.lease_slots import LeaseSlots
from sluice_dispatcher.adapters.ledger import SqliteLedger
from sluice_dispatcher.app import create_slots
from sluice_dispatcher.domain.wait_reason import WaitReason
from sluice_dispatcher.metrics import Metrics
from sluice_dispatcher.services.admission import Admission
from sluice_dispatcher.services.in_flight_budget import InFlightBudget
from sluice_dispatcher.services.live_watch import LiveWatch
from sluice_dispatcher.services.live_watches import LiveWatches
from sluice_dispatcher.services.pauses_view import PausesView
from sluice_dispatcher.services.queued_runs import QueuedRuns
from sluice_dispatcher.services.run_workflows import RunWorkflows
from sluice_dispatcher.services.slots import Slots
from sluice_dispatcher.settings import DispatcherSettings
from sluice_runtime.clocks import boot_time
from sluice_runtime.kafka.consumer import make_consumer
from sluice_runtime.kubernetes.client import KubernetesClient
from sluice_runtime.kubernetes.settings import KubernetesSettings
from sluice_runtime.kubernetes.shallow_json import parse_shallow
from sluice_runtime.limits_file import limits_file
from sluice_runtime.live_limits import NO_LIMITS, Limits
from sluice_runtime.projection.controls_store import ControlsStore
from sluice_runtime.projection.projector import Projector
from sluice_runtime.reloaded_file import ReloadedFile
from sluice_runtime.service import StartupError
from sluice_runtime.strict_yaml import FileError

__all__ = ["Gate", "create_gate"]


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What requests wait for before they become runs, with its tasks, probes and topics."""

    admission: Admission
    slots: Slots
    topics: Sequence[TopicSpec]
    tasks: Mapping[str, Callable[[], Coroutine[Any, Any, None]]]
    readiness: Mapping[str, Callable[[], str | None]]


def create_gate(
    settings: DispatcherSettings,
    *,
    client_id: str,
    cluster: KubernetesClient,
    counts_keys: bool,
    workflows: RunWorkflows,
    ledger: SqliteLedger,
    metrics: Metrics,
    budget: InFlightBudget,
    queued: QueuedRuns,
    now: Callable[[], datetime],
) -> Gate:
    """Wire what requests wait for; without limits, nothing is listed, watched or read."""
    kafka, namespaces = settings.kafka, settings.kubernetes.namespaces
    file = _read_limits(settings.dispatch.limits_file)
    is_counting = file is not None or counts_keys

    def limits() -> Limits:
        return NO_LIMITS if file is None else file.value

    controls = ControlsStore()
    paused = PausesView(controls)
    names = [] if kafka.controls_topic is None else [kafka.controls_topic]
    control_reader = Projector(
        name="controls",
        topics=names,
        store=controls,
        make_consumer=lambda: make_consumer(kafka, client_id=f"{client_id}-controls"),
        clock=boot_time,
    )

    def unready() -> WaitReason | None:
        if names and control_reader.waiting_for() is not None:
            return WaitReason.KAFKA
        return WaitReason.KUBERNETES if live_watches.are_unknown() else None

    admission = Admission(
        budget=budget,
        longest_create=settings.dedupe.least_release_after,
        places=namespaces.places,
        is_counting=is_counting,
        now=now,
        clock=boot_time,
        limits=limits,
        pauses=lambda: live_watches.joined_to(paused.pauses()),
        unready=unready,
    )
    slots = create_slots(
        settings,
        store=LeaseSlots(
            cluster,
            namespace=settings.kubernetes.namespace,
            request_timeout=settings.kubernetes.request_timeout,
        ),
        workflows=workflows,
        ledger=ledger,
        metrics=metrics,
        budget=budget,
        queued=queued,
        admission=admission,
        now=now,
    )
    live_watches = LiveWatches(
        [
            LiveWatch(each, admission=admission, slots=slots)
            for each in _metadata_of(cluster, settings.kubernetes)
            if is_counting
        ],
        namespaces=namespaces,
    )
    metrics.observe_namespaces(live_watches.known())
    metrics.observe_admission(
        limits=limits,
        queue=admission.queue,
        unserved_seconds=admission.unserved_seconds,
        refused=lambda: file is not None and file.refused,
        pauses=paused.pauses,
        invalid_controls=lambda: len(controls.invalid),
    )
    tasks: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {"admission": admission.run}
    readiness: dict[str, Callable[[], str | None]] = {}
    if is_counting:
        tasks["live runs"], readiness["live runs"] = live_watches.run, live_watches.waiting_for
    if names:
        tasks["controls"], readiness["controls"] = control_reader.run, control_reader.waiting_for
    if counts_keys:
        tasks["slots"] = slots.run
    if file is not None:
        tasks["limits file"] = file.run
    return Gate(
        admission=admission,
        slots=slots,
        topics=[controls_topic(name) for name in names],
        tasks=tasks,
        readiness=readiness,
    )


def _read_limits(path: Path | None) -> ReloadedFile[Limits] | None:
    if path is None:
        return None
    try:
        return limits_file(path)
    except FileError as e:
        raise StartupError(f"dispatch.limits_file: {e}") from e


def _metadata_of(cluster: KubernetesClient, settings: KubernetesSettings) -> Sequence[WorkflowsApi]:
    return [
        WorkflowsApi(
            cluster,
            namespace=namespace,
            request_timeout=settings.request_timeout,
            parse=parse_shallow,
            listed="metadata",
        )
        for namespace in settings.namespaces.all
    ]
