"""An alert reaches a person, with a link to its runbook; so does the end of all alerts."""

import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import yaml

from tests.gitops.alerting import (
    WATCHDOG,
    Alerts,
    PagingServices,
    Running,
    ScrapedPod,
    alertmanager,
    platform_alertmanager,
    prometheus,
)
from tests.gitops.conftest import Deliver
from tests.gitops.rendering import EVERYTHING, Delivery, Json
from tests.support.stock import built_program

pytestmark = pytest.mark.charts

RUNBOOKS = "https://git.example.com/sluice/blob/main/docs/runbooks.md"


def groups(delivery: Delivery) -> list[Json]:
    """Return all groups of rules of our charts."""
    return [
        group
        for application in delivery.ours().values()
        for each in delivery.rendered(application)
        if each["kind"] == "PrometheusRule"
        for group in each["spec"]["groups"]
    ]


@pytest.fixture
async def services() -> AsyncIterator[PagingServices]:
    """The services that page people."""
    async with PagingServices().serving() as serving:
        yield serving


@pytest.fixture
async def sender(tmp_path: Path) -> AsyncIterator[Running]:
    """Alertmanager, without the Secret of its receivers."""
    async with alertmanager(built_program("alertmanager"), tmp_path) as program:
        yield program


@pytest.fixture
async def alerts(sender: Running) -> AsyncIterator[Alerts]:
    """Its API."""
    async with aiohttp.ClientSession() as http:
        yield Alerts(sender.address, http)


async def test_an_alert_reaches_a_person_with_a_link_to_its_runbook(
    delivered: Deliver, tmp_path: Path, services: PagingServices, sender: Running
) -> None:
    services.write_addresses(tmp_path / "receiver")
    rules = [*groups(delivered("dev", EVERYTHING)), WATCHDOG]
    program = built_program("prometheus")
    pod = ScrapedPod({"sluice_topic_mismatches": 1})
    async with (
        pod.serving(),
        prometheus(program, tmp_path, groups=rules, pod=pod, alertmanager=sender.address),
    ):
        paged = await services.alert("page", "SluiceTopicsBreakPromises")
        assert paged["labels"]["namespace"] == "sluice"
        assert paged["annotations"]["summary"].startswith("1 settings of topics break a promise")
        assert paged["annotations"]["runbook_url"] == f"{RUNBOOKS}#sluicetopicsbreakpromises"
        noted = await services.alert("notify", "KafkaExporterAbsent")
        assert noted["annotations"]["runbook_url"] == f"{RUNBOOKS}#kafkaexporterabsent"
        # The dead man's switch arrives again and again.
        await services.alert("watchdog", "Watchdog", times=3)
        pod.metrics["sluice_topic_mismatches"] = 0
        await services.alert("page", "SluiceTopicsBreakPromises", status="resolved")


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_each_alert_that_is_delivered_has_a_link(delivered: Deliver, environment: str) -> None:
    rules = [
        rule for group in groups(delivered(environment, EVERYTHING)) for rule in group["rules"]
    ]
    assert len(rules) > 20
    for rule in rules:
        link = rule["annotations"]["runbook_url"]
        assert link == f"{RUNBOOKS}#{rule['alert'].lower()}"


async def test_without_its_secret_alertmanager_runs_and_begins_once_it_is_there(
    tmp_path: Path, services: PagingServices, sender: Running, alerts: Alerts
) -> None:
    await alerts.fire({"alertname": "KafkaPartitionsOffline", "severity": "critical"})
    await sender.line("Notify for alerts failed.*page-url: no such file")
    services.write_addresses(tmp_path / "receiver")
    await services.alert("page", "KafkaPartitionsOffline")


async def test_consequences_of_a_broken_kafka_page_nobody(
    tmp_path: Path, services: PagingServices, alerts: Alerts
) -> None:
    services.write_addresses(tmp_path / "receiver")
    await alerts.fire({"alertname": "KafkaPartitionsOffline", "severity": "critical"})
    await services.alert("page", "KafkaPartitionsOffline")
    consequences = [
        {"alertname": "SluiceLedgerBehind", "severity": "critical"},
        {"alertname": "SluiceStatesWait", "severity": "warning"},
    ]
    await alerts.fire(*consequences)
    await alerts.fire({"alertname": "SluiceGatewayViewNearlyFull", "severity": "warning"})
    await services.alert("notify", "SluiceGatewayViewNearlyFull")
    assert await alerts.inhibited() == {"SluiceLedgerBehind", "SluiceStatesWait"}
    assert services.posted("page") == ["KafkaPartitionsOffline"]
    assert services.posted("notify") == ["SluiceGatewayViewNearlyFull"]


def test_alerts_that_hold_others_back_exist(delivered: Deliver) -> None:
    rules = platform_alertmanager()["config"]["inhibit_rules"]
    sides = ("source_matchers", "target_matchers")
    matchers = [each for rule in rules for side in sides for each in rule[side]]
    lists = [each.partition('"')[2][:-1] for each in matchers if each.startswith("alertname")]
    named = {name for each in lists for name in each.split("|")}
    known = {
        rule["alert"] for group in groups(delivered("prod", EVERYTHING)) for rule in group["rules"]
    }
    assert named
    assert named <= known


def amtool(tmp_path: Path, config: Json, *words: str) -> str:
    file = tmp_path / "alertmanager.yaml"
    file.write_text(yaml.safe_dump(config), "utf-8")
    arguments = [str(file) if word == "FILE" else word for word in words]
    done = subprocess.run(
        [built_program("alertmanager", "amtool"), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=SluiceDispatcherAbsent severity=critical", "page"),
        ("alertname=SluiceStatesWait severity=warning", "notify"),
        ("alertname=Another", "notify"),
        ("alertname=Watchdog severity=none", "watchdog"),
        ("alertname=InfoInhibitor severity=none", "nobody"),
        ("alertname=CPUThrottlingHigh severity=info", "nobody"),
    ],
)
def test_severity_decides_where_an_alert_goes(tmp_path: Path, labels: str, receiver: str) -> None:
    config = platform_alertmanager()["config"]
    where = ("config", "routes", "test", "--config.file", "FILE", *labels.split())
    assert amtool(tmp_path, config, *where) == receiver


def test_the_secret_is_optional_and_mounted_where_the_receivers_look() -> None:
    values = platform_alertmanager()
    [volume] = values["alertmanagerSpec"]["volumes"]
    [mount] = values["alertmanagerSpec"]["volumeMounts"]
    assert volume["name"] == mount["name"]
    assert volume["secret"]["optional"] is True
    looked = re.findall(r"'url_file': '([^']+)/[a-z]+-url'", str(values["config"]))
    assert looked == [mount["mountPath"]] * 3


def test_the_receivers_of_the_page_are_valid(tmp_path: Path) -> None:
    page = Path("docs/operations.md").read_text("utf-8")
    [block] = re.findall(r"```yaml\n(receivers:\n.*?)```", page, re.DOTALL)
    replaced = {each["name"]: each for each in yaml.safe_load(block)["receivers"]}
    config = platform_alertmanager()["config"]
    receivers = [replaced.pop(each["name"], each) for each in config["receivers"]]
    assert not replaced
    assert "SUCCESS" in amtool(tmp_path, config | {"receivers": receivers}, "check-config", "FILE")
