"""What the gateway says and does before it serves, without any Kafka."""

import asyncio
import socket
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry

from sluice_contracts.topics import TopicNames
from sluice_gateway import __main__, bootstrap
from sluice_gateway.adapters.http_server import log_address
from sluice_gateway.auth_settings import AuthSettings
from sluice_gateway.bootstrap import load_workflows, serve
from sluice_gateway.metrics import Metrics
from sluice_gateway.settings import GatewaySettings, WorkflowSettings
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.kafka.topics import TopicMismatchError
from sluice_runtime.probes import HealthSettings
from sluice_runtime.service import StartupError, StoppedError
from sluice_runtime.settings import SettingsError, load_settings

OPEN = AuthSettings(mode="none")


def settings(folder: Path) -> GatewaySettings:
    return GatewaySettings(data_dir=folder, health=HealthSettings(port=0), auth=OPEN)


async def away(*_: object, **__: object) -> None:
    raise KafkaUnavailableError("No broker answered.")


async def right(*_: object, **__: object) -> dict[str, timedelta | None]:
    return dict.fromkeys(TopicNames().model_dump().values())


async def wrong(*_: object, **__: object) -> None:
    raise TopicMismatchError("sluice.status: cleanup.policy is 'compact'.")


def test_the_built_in_workflows_are_there() -> None:
    assert "map-reduce" in {entry.name for entry in load_workflows(WorkflowSettings())}


def test_a_wrong_catalogue_is_a_clear_refusal(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.yaml"
    file.write_text("workflows: 7")
    with pytest.raises(StartupError, match="The catalogue cannot be used"):
        load_workflows(WorkflowSettings(catalogue_file=file))


async def test_a_gateway_stops_while_it_waits_for_kafka(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "ensure_topics", away)
    stop = asyncio.Event()
    stop.set()
    with pytest.raises(StoppedError):
        await serve(settings(tmp_path), stop)


async def test_wrong_topics_are_a_clear_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "ensure_topics", wrong)
    with pytest.raises(StartupError, match=r"cleanup\.policy"):
        await serve(settings(tmp_path), asyncio.Event())


async def test_a_taken_port_is_named_by_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        health = HealthSettings(port=taken.getsockname()[1])
        wanting = GatewaySettings(data_dir=tmp_path, health=health, auth=OPEN)
        with pytest.raises(StartupError, match="SLUICE_HEALTH__PORT"):
            await serve(wanting, asyncio.Event())


@pytest.mark.parametrize(
    ("host", "identified", "level", "reason"),
    [
        ("127.0.0.1", False, "info", "on loopback"),
        ("::1", False, "info", "on loopback"),
        ("127.0.0.1", True, "info", "on loopback"),
        ("0.0.0.0", True, "info", "clients identify themselves"),
        ("0.0.0.0", False, "warning", "clients are not identified"),
    ],
)
def test_it_says_who_can_reach_it_and_why(
    host: str, identified: bool, level: str, reason: str
) -> None:
    with structlog.testing.capture_logs() as logs:
        log_address(host, 8080, identified=identified)
    [said] = logs
    assert (said["event"], said["log_level"], said["host"]) == ("listening", level, host)
    assert reason in said["reason"]


@pytest.fixture(autouse=True)
def mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_AUTH__MODE", "none")


@pytest.mark.parametrize(
    ("mode", "files", "said"),
    [
        ("", [], "to `required`, with grants_file and a source .*, or to `none`"),
        ("required", [], "SLUICE_AUTH__GRANTS_FILE"),
        ("required", ["keys_file"], "SLUICE_AUTH__GRANTS_FILE"),
        ("required", ["grants_file"], "SLUICE_AUTH__KEYS_FILE"),
        ("none", ["grants_file"], "leave them out, or set mode to `required`"),
        ("optional", [], "'required' or 'none'"),
    ],
)
def test_whether_clients_are_identified_has_to_be_said(
    monkeypatch: pytest.MonkeyPatch, mode: str, files: list[str], said: str
) -> None:
    monkeypatch.setenv("SLUICE_AUTH__MODE", mode)
    for each in files:
        monkeypatch.setenv(f"SLUICE_AUTH__{each.upper()}", "file.yaml")
    with pytest.raises(SettingsError, match=said):
        load_settings(GatewaySettings)


@pytest.mark.parametrize("broken", ["grants_file", "keys_file"])
async def test_a_file_of_identities_that_cannot_be_used_is_a_clear_refusal(
    tmp_path: Path, broken: str
) -> None:
    contents = {"grants_file": "grants: []", "keys_file": "keys: []", broken: "[]"}
    files = {name: tmp_path / f"{name}.yaml" for name in contents}
    for name, content in contents.items():
        files[name].write_text(content)
    auth = AuthSettings(mode="required", **files)
    wanting = GatewaySettings(data_dir=tmp_path, health=HealthSettings(port=0), auth=auth)
    with pytest.raises(StartupError, match=f"SLUICE_AUTH__{broken.upper()}"):
        await serve(wanting, asyncio.Event())


def test_the_gateway_listens_on_loopback_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (GatewaySettings().http.host, GatewaySettings().http.port) == ("127.0.0.1", 8080)
    monkeypatch.setenv("SLUICE_HTTP__HOST", "0.0.0.0")
    monkeypatch.setenv("SLUICE_HTTP__PORT", "80")
    monkeypatch.setenv("SLUICE_HTTP__BODY_TIMEOUT", "3s")
    http = GatewaySettings().http
    assert (http.host, http.port, http.body_timeout) == ("0.0.0.0", 80, timedelta(seconds=3))


def test_lists_are_written_with_commas_or_as_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("http: {allowed_hosts: [a.example], trusted_proxies: [10.0.0.0/8]}")
    monkeypatch.setenv("SLUICE_CONFIG", str(file))
    http = load_settings(GatewaySettings).http
    assert http.allowed_hosts == ("a.example",)
    assert [str(network) for network in http.trusted_proxies] == ["10.0.0.0/8"]
    monkeypatch.setenv("SLUICE_HTTP__ALLOWED_HOSTS", "b.example, *.c.example,*,")
    monkeypatch.setenv("SLUICE_HTTP__TRUSTED_PROXIES", "192.0.2.1, fd00::/8")
    http = load_settings(GatewaySettings).http
    assert http.allowed_hosts == ("b.example", "*.c.example", "*")
    assert [str(network) for network in http.trusted_proxies] == ["192.0.2.1/32", "fd00::/8"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("HTTP__ALLOWED_HOSTS", "runs.example.com:443", "names without ports"),
        ("HTTP__ALLOWED_HOSTS", "https://runs.example.com", "names without ports"),
        ("HTTP__ALLOWED_HOSTS", "*.*", "names without ports"),
        ("HTTP__TRUSTED_PROXIES", "10.0.0.1/8", "as in 10.0.0.0/16"),
        ("HTTP__TRUSTED_PROXIES", "proxy.example.com", "as in 10.0.0.0/16"),
        ("HTTP__PEER_SHARE", "0", "greater than 0"),
        ("HTTP__PEER_SHARE", "0.05", "room for one body of 1600000 bytes"),
        ("ADMISSION__MAX_BYTES", "3000000", "room for one body of 1600000 bytes"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"SLUICE_{name}", value)
    with pytest.raises(SettingsError, match=said):
        load_settings(GatewaySettings)


async def test_a_data_folder_that_cannot_be_used_is_a_clear_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "ensure_topics", right)
    (tmp_path / "file").touch()
    with pytest.raises(StartupError, match="SLUICE_DATA_DIR"):
        await serve(settings(tmp_path / "file"), asyncio.Event())


def test_help_lists_the_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["sluice-gateway", "--help"])
    with pytest.raises(SystemExit) as left:
        __main__.main()
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert "SLUICE_HTTP__HOST" in said
    assert "SLUICE_KAFKA__BOOTSTRAP_SERVERS" in said


def test_the_lag_of_a_view_that_never_caught_up_is_not_a_number() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    lag: list[float | None] = [None]
    metrics.watch_view_staleness(lambda: lag[0])
    name = "sluice_gateway_view_staleness_seconds"
    assert str(registry.get_sample_value(name)) == "nan"
    lag[0] = 1.5
    assert registry.get_sample_value(name) == 1.5
