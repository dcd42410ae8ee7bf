"""Prometheus reads the alerts, and they fire when they should; helm/kafka exports their metrics."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.charts.promql import labels_of
from tests.charts.rendering import CHART, KAFKA, Helm, Json

CASES = Path("tests/charts/alerts")
FILES = {
    "sluice": CHART / "files/alerts.yaml",
    "sluice-log-relay": CHART / "files/log-relay-alerts.yaml",
    "kafka": KAFKA / "files/alerts.yaml",
}
"""By the names of their cases."""
LOG_RELAY = {"enabled": True, "secretName": "shared"}
with_alerts = pytest.mark.parametrize("name", FILES)

EXPORTED = {
    # https://github.com/danielqsj/kafka_exporter#metrics, which Strimzi builds on
    "kafka_brokers": set[str](),
    "kafka_consumergroup_lag": {"consumergroup", "topic", "partition"},
}
BEANS = {
    # https://kafka.apache.org/documentation/#monitoring, as Prometheus' JMX exporter puts them
    "kafka.server<type=ReplicaManager, name=LeaderCount><>Value",
    "kafka.server<type=ReplicaManager, name=UnderReplicatedPartitions><>Value",
    "kafka.server<type=ReplicaManager, name=UnderMinIsrPartitionCount><>Value",
    "kafka.controller<type=KafkaController, name=ActiveControllerCount><>Value",
    "kafka.controller<type=KafkaController, name=OfflinePartitionsCount><>Value",
    "kafka.log<type=LogManager, name=OfflineLogDirectoryCount><>Value",
    "kafka.server<type=BrokerTopicMetrics, name=BytesInPerSec><>Count",
    "kafka.server<type=BrokerTopicMetrics, name=BytesInPerSec, topic=sluice.status><>Count",
    "kafka.network<type=RequestMetrics, name=TotalTimeMs, request=Produce><>99thPercentile",
    "kafka.server<type=KafkaRequestHandlerPool, name=RequestHandlerAvgIdlePercent><>MeanRate",
}
KUBELET = {
    # https://kubernetes.io/docs/reference/instrumentation/metrics/
    "kubelet_volume_stats_available_bytes": {"persistentvolumeclaim"},
    "kubelet_volume_stats_capacity_bytes": {"persistentvolumeclaim"},
}
# By the PodMonitor, or by Prometheus' operator itself.
ADDED = {"namespace", "pod", "strimzi_io_cluster"}


def alerts(name: str) -> dict[str, str]:
    document = yaml.safe_load(FILES[name].read_text(encoding="utf-8"))
    rules = [rule for group in document["groups"] for rule in group["rules"]]
    return {rule["alert"]: rule["expr"] for rule in rules}


def from_beans() -> dict[str, set[str]]:
    """Give the labels of the metrics that the chart makes of Kafka's MBeans, by their names."""
    document = yaml.safe_load((KAFKA / "files/metrics.yaml").read_text(encoding="utf-8"))
    assert document["lowercaseOutputName"] is True
    found: dict[str, set[str]] = {}
    used = set()
    for bean in BEANS:
        for rule in document["rules"]:
            if match := re.search(rule["pattern"], bean):
                name = re.sub(r"\$(\d)", lambda group: match[int(group[1])], rule["name"])
                found.setdefault(name.lower(), set()).update(rule.get("labels", {}))
                used.add(rule["pattern"])
                break
    assert used == {rule["pattern"] for rule in document["rules"]}
    assert len(found) >= len(BEANS) - 1
    return found


@pytest.mark.parametrize("alert", alerts("kafka"))
def test_kafka_exports_the_metrics_of_its_alerts(alert: str) -> None:
    known = EXPORTED | KUBELET | from_beans()
    expression = alerts("kafka")[alert]
    asked = set(re.findall(r"\b(?:kafka|kubelet)_\w+", expression))
    assert asked
    assert asked <= known.keys()
    assert labels_of(expression) <= ADDED.union(*(known[metric] for metric in asked))


def test_the_label_of_the_cluster_is_added() -> None:
    monitor = (KAFKA / "templates/monitoring/pod-monitor.yaml").read_text(encoding="utf-8")
    assert "targetLabel: strimzi_io_cluster" in monitor


@pytest.mark.charts
@with_alerts
def test_prometheus_reads_the_alerts(promtool: Path, name: str) -> None:
    done = check(promtool, "check", "rules", "--lint=all", "--lint-fatal", str(FILES[name]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(alerts(name))} rules found" in done.stdout


@pytest.mark.charts
@with_alerts
def test_alerts_fire_when_they_should(promtool: Path, name: str) -> None:
    done = check(promtool, "test", "rules", str(CASES / f"{name}.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.charts
def test_a_wrong_threshold_would_be_seen(promtool: Path, tmp_path: Path) -> None:
    text = FILES["sluice"].read_text(encoding="utf-8")
    (tmp_path / "alerts.yaml").write_text(text.replace("> 1000", "> 2000"), encoding="utf-8")
    cases = (CASES / "sluice.yaml").read_text(encoding="utf-8")
    moved = cases.replace("../../../helm/sluice/files/alerts.yaml", "alerts.yaml")
    (tmp_path / "cases.yaml").write_text(moved, encoding="utf-8")
    done = check(promtool, "test", "rules", str(tmp_path / "cases.yaml"))
    assert done.returncode != 0
    assert "SluiceRequestsWait" in done.stdout + done.stderr


@with_alerts
def test_each_alert_is_tried_silent_and_loud(name: str) -> None:
    cases = yaml.safe_load((CASES / f"{name}.yaml").read_text(encoding="utf-8"))
    tried = [case for test in cases["tests"] for case in test["alert_rule_test"]]
    for loud in (True, False):
        seen = {case["alertname"] for case in tried if bool(case["exp_alerts"]) == loud}
        assert seen == alerts(name).keys()


@pytest.mark.charts
@pytest.mark.parametrize(
    ("chart", "values", "names"),
    [
        (CHART, {}, ["sluice"]),
        (CHART, {"logRelay": LOG_RELAY}, ["sluice", "sluice-log-relay"]),
        (KAFKA, {}, ["kafka"]),
    ],
)
def test_they_arrive_as_they_are_with_a_link_to_their_runbooks(
    helm: Helm, tmp_path: Path, chart: Path, values: Json, names: list[str]
) -> None:
    """Prometheus' own braces are none of Helm's."""
    everything = yaml.safe_load((chart / "ci/everything-values.yaml").read_text(encoding="utf-8"))
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(everything | values), encoding="utf-8")
    [rule] = helm.rendered(file, chart).of("PrometheusRule")
    for group in rule["spec"]["groups"]:
        for each in group["rules"]:
            link = each["annotations"].pop("runbook_url")
            assert link == f"https://example.com/runbooks#{each['alert'].lower()}"
    files = [yaml.safe_load(FILES[name].read_text(encoding="utf-8")) for name in names]
    assert rule["spec"] == {"groups": [group for each in files for group in each["groups"]]}


def check(promtool: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)
