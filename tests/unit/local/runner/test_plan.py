"""Endpoints and command lines."""

import dataclasses
import socket
import sys
from pathlib import Path

import pytest

from sluice_dispatcher.settings import DispatcherSettings
from sluice_gateway.settings import GatewaySettings
from sluice_local.errors import LocalModeError
from sluice_local.runner.data_folder import write_secret
from sluice_local.runner.plan import (
    LOG_RELAY,
    SERVICES,
    Endpoints,
    Options,
    Service,
    choose_endpoints,
    engine_part,
    service_environment,
    service_part,
)
from sluice_local.runner.summary import summary
from sluice_log_relay.settings import Settings as LogRelaySettings
from sluice_runtime.settings import ServiceSettings, load_settings
from sluice_status_watcher.settings import Settings as StatusWatcherSettings
from tests.support.goldens import Golden

ENDPOINTS = Endpoints(
    data_dir=Path("/data"),
    http_port=8080,
    kafka_port=9092,
    engine_port=8093,
    health_ports={"gateway": 8090, "dispatcher": 8091, "status-watcher": 8092},
    controls_topic="sluice.controls",
)
WITH_LOGS = dataclasses.replace(
    ENDPOINTS, relay_port=8094, health_ports={**ENDPOINTS.health_ports, "log-relay": 8095}
)
GATEWAY, DISPATCHER, STATUS_WATCHER = SERVICES

COMMON = {
    "SLUICE_LOG__FORMAT": "json",
    "SLUICE_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9092",
    "SLUICE_KAFKA__REPLICATION_FACTOR": "1",
    "SLUICE_KAFKA__SESSION_TIMEOUT": "10s",
    "SLUICE_KAFKA__CONTROLS_TOPIC": "sluice.controls",
}


def all_zero(data_dir: Path) -> Options:
    return Options(
        data_dir=data_dir,
        cache_dir=data_dir,
        http_port=0,
        kafka_port=0,
        health_port=0,
        engine_port=0,
        relay_port=0,
    )


def test_the_gateway_gets_its_port_and_no_kubernetes_settings() -> None:
    assert service_environment(GATEWAY, ENDPOINTS) == COMMON | {
        "SLUICE_DATA_DIR": "/data/gateway",
        "SLUICE_HEALTH__PORT": "8090",
        "SLUICE_HTTP__PORT": "8080",
        "SLUICE_AUTH__MODE": "none",
        "SLUICE_KAFKA__INSTANCE_ID": "gateway-0",
    }


@pytest.mark.parametrize(("service", "port"), [(DISPATCHER, "8091"), (STATUS_WATCHER, "8092")])
def test_other_services_get_the_kubeconfig(service: Service, port: str) -> None:
    assert service_environment(service, ENDPOINTS) == COMMON | {
        "SLUICE_DATA_DIR": f"/data/{service.name}",
        "SLUICE_HEALTH__PORT": port,
        "SLUICE_KAFKA__INSTANCE_ID": f"{service.name}-0",
        "SLUICE_KUBERNETES__KUBECONFIG": "/data/engine/kubeconfig",
        "SLUICE_KUBERNETES__NAMESPACE": "argo",
    }


@pytest.mark.parametrize(
    ("service", "settings"),
    [
        (GATEWAY, GatewaySettings),
        (DISPATCHER, DispatcherSettings),
        (STATUS_WATCHER, StatusWatcherSettings),
    ],
)
def test_the_services_accept_their_variables(
    service: Service, settings: type[ServiceSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in service_environment(service, ENDPOINTS).items():
        monkeypatch.setenv(name, value)
    loaded = load_settings(settings).model_dump(mode="json")
    assert loaded["health"]["port"] == ENDPOINTS.health_ports[service.name]
    assert loaded["kafka"]["bootstrap_servers"] == "127.0.0.1:9092"
    assert loaded["kafka"]["replication_factor"] == 1
    if service is GATEWAY:
        assert loaded["http"]["port"] == 8080
    else:
        assert loaded["kubernetes"]["kubeconfig"] == "/data/engine/kubeconfig"


def test_gateway_and_log_relay_share_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = service_environment(GATEWAY, WITH_LOGS)
    assert gateway["SLUICE_STEP_LOGS__RELAY_URL"] == "http://127.0.0.1:8094"
    environment = service_environment(LOG_RELAY, WITH_LOGS)
    assert environment == {
        "SLUICE_DATA_DIR": "/data/log-relay",
        "SLUICE_LOG__FORMAT": "json",
        "SLUICE_HEALTH__PORT": "8095",
        "SLUICE_HTTP__PORT": "8094",
        "SLUICE_SECRET_FILE": gateway["SLUICE_STEP_LOGS__SECRET_FILE"],
        "SLUICE_KUBERNETES__KUBECONFIG": "/data/engine/kubeconfig",
        "SLUICE_KUBERNETES__NAMESPACE": "argo",
    }
    for name, value in (environment | gateway).items():
        monkeypatch.setenv(name, value)
    load_settings(GatewaySettings)
    load_settings(LogRelaySettings)


def test_the_log_relay_is_a_service_where_it_has_a_port() -> None:
    assert ENDPOINTS.services == SERVICES
    assert WITH_LOGS.services == (*SERVICES, LOG_RELAY)
    assert "log-relay" in summary(WITH_LOGS, seconds=1)


def test_a_secret_is_written_once_for_this_user_alone(tmp_path: Path) -> None:
    file = tmp_path / "log-relay" / "secret"
    write_secret(file)
    first = file.read_bytes()
    write_secret(file)
    assert file.read_bytes() == first
    assert len(first.strip()) >= 32
    assert file.stat().st_mode & 0o777 == 0o600


def test_processes_run_on_this_python() -> None:
    service, engine = service_part(STATUS_WATCHER, ENDPOINTS), engine_part(ENDPOINTS)
    assert service.command == [sys.executable, "-m", "sluice_status_watcher"]
    assert service.ready_url == "http://127.0.0.1:8092/readyz"
    assert engine.command[1:] == [
        *("-m", "sluice_engine"),
        *("--data-dir", "/data/engine", "--port", "8093"),
    ]
    assert engine.ready_url == "http://127.0.0.1:8093/readyz"


def test_what_a_person_runs_can_be_paused(tmp_path: Path) -> None:
    assert choose_endpoints(all_zero(tmp_path)).controls_topic == "sluice.controls"


def test_port_0_becomes_different_free_ports(tmp_path: Path) -> None:
    chosen = choose_endpoints(all_zero(tmp_path))
    taken = [
        chosen.http_port,
        chosen.kafka_port,
        chosen.engine_port,
        chosen.relay_port,
        *chosen.health_ports.values(),
    ]
    assert len(set(taken)) == 8
    assert 0 not in taken


def test_the_offset_moves_chosen_ports_only(tmp_path: Path) -> None:
    free = choose_endpoints(all_zero(tmp_path)).http_port
    options = Options(
        data_dir=tmp_path,
        cache_dir=tmp_path,
        http_port=free - 7,
        kafka_port=0,
        health_port=0,
        engine_port=0,
        relay_port=0,
        port_offset=7,
    )
    assert choose_endpoints(options).http_port == free


def test_a_taken_port_is_named_with_its_purpose_and_the_remedy(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        options = Options(
            data_dir=tmp_path,
            cache_dir=tmp_path,
            http_port=0,
            kafka_port=port,
            health_port=0,
            engine_port=0,
            relay_port=0,
        )
        with pytest.raises(LocalModeError) as caught:
            choose_endpoints(options)
    assert f"Port {port}, for Kafka," in str(caught.value)
    assert "--kafka-port PORT" in str(caught.value)


def test_the_summary_has_all_addresses(golden: Golden) -> None:
    golden("local/summary.txt", summary(ENDPOINTS, seconds=7.24))


def test_the_lines_of_the_box_are_equally_wide() -> None:
    lines = summary(ENDPOINTS, seconds=123.4).splitlines()
    assert len({len(line) for line in lines if line[:1] in {"┌", "│", "└"}}) == 1


def test_programs_get_the_same_addresses() -> None:
    document = ENDPOINTS.document()
    assert document["gateway"] == "http://127.0.0.1:8080"
    assert document["kafka"] == "127.0.0.1:9092"
    assert document["kubeconfig"] == "/data/engine/kubeconfig"
    assert document["topics"] == {
        "requests": "sluice.requests",
        "status": "sluice.status",
        "results": "sluice.results",
        "dlq": "sluice.requests.dlq",
    }
