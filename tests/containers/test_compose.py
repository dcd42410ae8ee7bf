"""`docker compose up`, as the README says it, with the images of this repository."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from testbed.docker.daemon import Daemon
from testbed.errors import TestbedError
from testbed.machine.addresses import DOCKER
from tests.support.client import Client
from tests.support.kafka import read_until, unique_name

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

TEXT = "Straße a b a {{workflow.name}} $(id)"
GATEWAY = f"http://{DOCKER.machine}:8080"
# As if this were the computer that Docker publishes on.
HERE = {
    "SLUICE_HTTP_PUBLISH": f"{DOCKER.machine}:8080",
    "SLUICE_KAFKA_PUBLISH": f"{DOCKER.machine}:9092",
}


@dataclass(frozen=True)
class Kafka:
    bootstrap_servers: str


def configured(docker: Daemon, *options: str) -> dict[str, Any]:
    services: dict[str, Any] = json.loads(
        docker.docker("compose", *options, "config", "--format=json")
    )["services"]
    return services


@pytest.fixture(scope="module")
def composed(docker: Daemon) -> Iterator[Daemon]:
    """Everything up, and gone afterwards with all that it kept."""
    try:
        docker.docker("compose", "up", "--wait", "--wait-timeout=240", more=HERE)
    except TestbedError as error:
        logs = docker.docker("compose", "logs", "--tail=20", more=HERE)
        pytest.fail(f"{error}\n{logs}")
    try:
        yield docker
    finally:
        docker.docker("compose", "down", "--volumes", "--timeout=30", more=HERE)
        assert docker.docker("ps", "--all", "--quiet") == ""
        assert docker.docker("volume", "ls", "--quiet") == ""


async def run(document: dict[str, Any]) -> dict[str, Any]:
    """Post a run and return the state in which it ended."""
    async with aiohttp.ClientSession(GATEWAY) as http:
        return await Client(http).outcome(document)


@pytest.mark.usefixtures("composed")
@pytest.mark.parametrize(
    ("workflow", "parameters", "outputs"),
    [
        ("hello", {"name": "Ada"}, {"greeting": "Hello, Ada!"}),
        ("artifact-passing", {"message": "over"}, {"message": "over"}),
    ],
)
async def test_a_post_reaches_its_end(
    workflow: str, parameters: dict[str, Any], outputs: dict[str, str]
) -> None:
    state = await run({"id": unique_name("c"), "workflow": workflow, "parameters": parameters})
    assert (state["phase"], state["outputs"]) == ("Succeeded", outputs)


@pytest.mark.usefixtures("composed")
async def test_words_are_counted_exactly_and_published_on_kafka() -> None:
    run_id = unique_name("words")
    parameters = {"workers": 3, "text": TEXT}
    state = await run({"id": run_id, "workflow": "map-reduce", "parameters": parameters})
    assert state["phase"] == "Succeeded"
    counts = {"strasse": 1, "a": 2, "b": 1, "workflow": 1, "name": 1, "id": 1}
    assert json.loads(state["outputs"]["counts"]) == counts
    key = f"default/{run_id}".encode()
    records = await read_until(
        Kafka(HERE["SLUICE_KAFKA_PUBLISH"]),
        "sluice.results",
        lambda records: any(record.key == key for record in records),
    )
    [outcome] = [json.loads(record.value or b"") for record in records if record.key == key]
    assert outcome["outputs"] == state["outputs"]


@pytest.mark.usefixtures("composed")
async def test_the_log_of_a_step_can_be_read() -> None:
    run_id = unique_name("logged")
    state = await run({"id": run_id, "workflow": "hello", "parameters": {"name": "Ada"}})
    [step] = [each["id"] for each in state["steps"] if each["name"] == "greet"]
    async with (
        aiohttp.ClientSession(GATEWAY) as http,
        http.get(f"/v1/runs/{run_id}/steps/{step}/logs") as answer,
    ):
        assert (answer.status, await answer.text()) == (200, "Hello, Ada!\n")


def test_ports_are_published_on_loopback_by_default(docker: Daemon) -> None:
    published = [
        (name, port["host_ip"], port["published"], port["target"])
        for name, service in configured(docker).items()
        for port in service.get("ports", ())
    ]
    assert sorted(published) == [
        ("gateway", "127.0.0.1", "8080", 8080),
        ("kafka", "127.0.0.1", "9092", 9092),
    ]


def test_another_profile_takes_the_place_of_the_local_engine(docker: Daemon) -> None:
    services = {"kafka", "gateway", "dispatcher", "status-watcher", "log-relay"}
    assert configured(docker).keys() == services | {"engine"}
    assert configured(docker, "--profile=argo").keys() == services | {"k3s", "argo"}


def test_the_view_may_be_in_postgres(docker: Daemon) -> None:
    services = configured(docker, "--profile=local", "--profile=postgres")
    assert {"postgres", "engine"} <= services.keys()
    environment = services["gateway"]["environment"]
    assert environment["SLUICE_STORE__POSTGRES__HOST"] == "postgres"
    password = services["postgres"]["environment"]["POSTGRES_PASSWORD"]
    assert environment["SLUICE_STORE__POSTGRES__PASSWORD"] == password


def test_gateway_and_dispatcher_have_the_same_topic_of_controls(docker: Daemon) -> None:
    services = configured(docker)
    topics = {
        name: service.get("environment", {}).get("SLUICE_KAFKA__CONTROLS_TOPIC")
        for name, service in services.items()
    }
    expected = dict.fromkeys(("gateway", "dispatcher"), "sluice.controls")
    assert {name: topic for name, topic in topics.items() if topic is not None} == expected


@pytest.mark.parametrize(
    ("account", "parts"),
    [("sluice-executor", ["executor"]), ("sluice", ["dispatcher", "status-watcher", "log-relay"])],
)
def test_an_account_may_do_what_the_charts_say(account: str, parts: list[str]) -> None:
    manifests = yaml.safe_load_all(Path("compose/accounts.yaml").read_text("utf-8"))
    [role] = [m for m in manifests if (m["kind"], m["metadata"]["name"]) == ("Role", account)]
    rules = (yaml.safe_load(Path(f"helm/sluice/rules/{part}.yaml").read_text()) for part in parts)
    assert role["rules"] == [rule for part in rules for rule in part]
