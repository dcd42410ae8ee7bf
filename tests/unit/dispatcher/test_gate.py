"""What runs depends on what is configured: without limits, nothing but the gate itself."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from sluice_argo.workflows_api import WorkflowsApi
from sluice_dispatcher.adapters.ledger import SqliteLedger
from sluice_dispatcher.app import new_budget
from sluice_dispatcher.gate import Gate, create_gate
from sluice_dispatcher.metrics import Metrics
from sluice_dispatcher.services.queued_runs import QueuedRuns
from sluice_dispatcher.services.run_workflows import RunWorkflows
from sluice_dispatcher.settings import DispatcherSettings
from sluice_runtime.kubernetes.client import KubernetesClient
from sluice_runtime.kubernetes.namespaces import Namespaces
from sluice_runtime.service import StartupError
from tests.unit.runtime.kubernetes.api_server import api_server, connected


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[KubernetesClient]:
    async with api_server() as server, connected(server, tmp_path / "kubeconfig") as client:
        yield client


def gate(
    cluster: KubernetesClient, registry: CollectorRegistry, *, keys: bool = False, **settings: Any
) -> Gate:
    given = DispatcherSettings.model_validate(settings)
    seconds = timedelta(seconds=15)
    ledger: Any = object.__new__(SqliteLedger)
    return create_gate(
        given,
        client_id="test",
        cluster=cluster,
        counts_keys=keys,
        workflows=RunWorkflows(
            Namespaces("argo"),
            {"argo": WorkflowsApi(cluster, namespace="argo", request_timeout=seconds)},
        ),
        ledger=ledger,
        metrics=Metrics(registry),
        budget=new_budget(given.dispatch, topics=1),
        queued=QueuedRuns(clock=asyncio.get_running_loop().time, is_first_reader_of=lambda _: True),
        now=lambda: datetime.now(UTC),
    )


async def test_without_limits_nothing_is_listed_watched_or_read(cluster: KubernetesClient) -> None:
    made = gate(cluster, CollectorRegistry())
    assert set(made.tasks) == {"admission"}
    assert made.readiness == {}
    assert made.topics == []


async def test_what_is_configured_runs_and_says_when_it_is_not_ready(
    cluster: KubernetesClient, tmp_path: Path
) -> None:
    limits = tmp_path / "limits.yaml"
    limits.write_text("live: 3\ntenants: {acme: {live: 2}}\n", encoding="utf-8")
    registry = CollectorRegistry()
    made = gate(
        cluster,
        registry,
        keys=True,
        dispatch={"limits_file": limits},
        kafka={"controls_topic": "controls"},
    )
    assert set(made.tasks) == {"admission", "live runs", "controls", "slots", "limits file"}
    assert {name: check() for name, check in made.readiness.items()} == {
        "live runs": "the live runs are not known yet: the Workflows have not been listed",
        "controls": "the topics are still being read",
    }
    assert [spec.name for spec in made.topics] == ["controls"]
    made.admission.queue.count(tenant="acme", workflow="hello", change=1)
    made.admission.queue.count(tenant="made-up", workflow="hello", change=1)
    # Only tenants that the operator names are labels.
    for tenant, live in (("acme", 1), ("other", 1), ("made-up", None)):
        found = registry.get_sample_value("sluice_dispatcher_live_runs", {"tenant": tenant})
        assert found == live
        unserved = registry.get_sample_value(
            "sluice_dispatcher_unserved_seconds", {"tenant": tenant}
        )
        assert unserved == (None if live is None else 0)


async def test_a_limits_file_that_cannot_be_used_stops_the_start(
    cluster: KubernetesClient, tmp_path: Path
) -> None:
    limits = tmp_path / "limits.yaml"
    limits.write_text("tenants: {acme: {wieght: 2}}\n", encoding="utf-8")
    with pytest.raises(StartupError, match=r"limits_file: .*tenants\.acme\.wieght: is not a known"):
        gate(cluster, CollectorRegistry(), dispatch={"limits_file": limits})
