"""Alerts and dashboards ask for metrics, and labels, that the services have."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from sluice_dispatcher.domain.fair_queue import FairQueue
from sluice_dispatcher.domain.pauses import Pauses
from sluice_dispatcher.metrics import Metrics as DispatcherMetrics
from sluice_gateway.metrics import Metrics as GatewayMetrics
from sluice_log_relay.metrics import Metrics as LogRelayMetrics
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.kafka.topics import TopicWatch
from sluice_runtime.live_limits import Limits
from sluice_runtime.loop_delay import LoopDelay
from sluice_status_watcher.services.leader_election import AlwaysLeader
from sluice_status_watcher.settings import Settings
from tests.charts.promql import labels_of
from tests.charts.rendering import CHART, Rendered
from tests.support.fake_workflows import FakeWorkflows
from tests.unit.status_watcher.world import FakeKafka, make_watcher

ENDINGS = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"], "gauge": [""]}
# Prometheus adds these: where a sample comes from, and a histogram's bounds.
ADDED = {"namespace", "pod", "le"}


@pytest.fixture(scope="module")
def metrics() -> dict[str, set[str]]:
    """The labels of all metrics, by the names that Prometheus knows them by."""
    registry = CollectorRegistry()
    GatewayMetrics(registry)
    LogRelayMetrics(registry)
    LoopDelay(registry)
    TopicWatch(KafkaSettings(), client_id="test", registry=registry)
    DispatcherMetrics(registry).observe_admission(
        limits=Limits,
        queue=FairQueue(),
        unserved_seconds=dict,
        refused=lambda: False,
        pauses=Pauses,
        invalid_controls=lambda: 0,
    )
    make_watcher(
        Settings(),
        workflows=[FakeWorkflows()],
        kafka=FakeKafka(),
        registry=registry,
        leadership=AlwaysLeader(),
    )
    # All of them, also those without samples yet: the client has no public way to list these.
    collectors: list[Any] = list(registry._collector_to_names)
    found = {
        collector._name + ending: set(collector._labelnames)
        for collector in collectors
        if hasattr(collector, "_type")
        for ending in ENDINGS[collector._type]
    }
    # Those by tenant always have a sample.
    for family in registry.collect():
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def alerts() -> dict[str, str]:
    rules = [
        rule
        for file in CHART.glob("files/*alerts.yaml")
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ]
    found = {rule["alert"]: rule["expr"] for rule in rules}
    assert len(found) == len(rules)
    return found


def panels() -> Iterator[tuple[str, str]]:
    for file in CHART.glob("files/dashboards/*.json"):
        dashboard = json.loads(file.read_text(encoding="utf-8"))
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                yield f"{panel['title']} {target['refId']}", target["expr"]


EXPRESSIONS = alerts() | dict(panels())


def test_there_is_something_to_look_at(metrics: dict[str, set[str]]) -> None:
    assert len(alerts()) > 8
    assert len(EXPRESSIONS) > 20
    assert "sluice_dispatcher_retries_total" in metrics
    assert "sluice_gateway_accept_seconds_bucket" in metrics
    assert "sluice_status_watcher_pending_states" in metrics
    assert "sluice_log_relay_requests_total" in metrics


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_its_metrics_and_labels_are_there(name: str, metrics: dict[str, set[str]]) -> None:
    expression = EXPRESSIONS[name]
    asked = set(re.findall(r"\bsluice_\w+", expression))
    assert asked
    assert asked <= metrics.keys()
    assert labels_of(expression) <= ADDED.union(*(metrics[metric] for metric in asked))


@pytest.mark.charts
def test_dashboards_arrive_as_they_are(everything: Rendered) -> None:
    """Prometheus' own braces are none of Helm's."""
    dashboards = everything.one("ConfigMap", "runs-dashboards")["data"]
    for name, content in dashboards.items():
        assert content == (CHART / "files/dashboards" / name).read_text(encoding="utf-8")


@pytest.mark.charts
def test_prometheus_finds_each_service_once(everything: Rendered) -> None:
    [monitor] = everything.of("ServiceMonitor")
    selector = monitor["spec"]["selector"]["matchLabels"]
    [endpoint] = monitor["spec"]["endpoints"]
    found = [
        service["metadata"]["name"]
        for service in everything.of("Service")
        if selector.items() <= service["metadata"]["labels"].items()
        and endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    ]
    assert len(found) == 3
