"""Endpoints and command lines for the given options. Pure, except for the choice of free ports."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sluice_contracts.topics import TopicNames
from sluice_local import ports
from sluice_local.errors import LocalModeError
from sluice_local.ports import LOOPBACK

NAMESPACE = "argo"
CONTROLS_TOPIC = "sluice.controls"
CATALOGUE = "catalogue.yaml"
"""In a folder of workflows the catalogue; other files there have WorkflowTemplates."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The user's options. Port 0 means a free port; a cluster replaces the local engine.

    `workflows` is a folder with a catalogue and WorkflowTemplates.
    """

    data_dir: Path
    cache_dir: Path
    http_port: int = 8080
    kafka_port: int = 9092
    health_port: int = 8090
    engine_port: int = 8093
    relay_port: int = 8094
    port_offset: int = 0
    cluster: Path | None = None
    workflows: Path | None = None


@dataclass(frozen=True)
class Service:
    """One of Sluice's services; `health_offset` is added to the first health port."""

    name: str
    module: str
    health_offset: int


GATEWAY = Service("gateway", "sluice_gateway", 0)
DISPATCHER = Service("dispatcher", "sluice_dispatcher", 1)
SERVICES = (
    GATEWAY,
    DISPATCHER,
    Service("status-watcher", "sluice_status_watcher", 2),
)
LOG_RELAY = Service("log-relay", "sluice_log_relay", 5)
"""It reads the logs of steps, where a `relay_port` is given."""


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """The addresses and paths of all parts.

    `cluster` is the kubeconfig of a cluster to use instead of the local engine. Without a
    `controls_topic` nothing can be paused, and without a `relay_port` no step has a log.
    `catalogue` is a file of workflows of the user's own.
    """

    data_dir: Path
    http_port: int
    kafka_port: int
    engine_port: int
    health_ports: Mapping[str, int]
    cluster: Path | None = None
    controls_topic: str | None = None
    catalogue: Path | None = None
    relay_port: int | None = None

    @property
    def services(self) -> tuple[Service, ...]:
        """The services to run."""
        return SERVICES if self.relay_port is None else (*SERVICES, LOG_RELAY)

    @property
    def relay_secret(self) -> Path:
        """The file with the secret that gateway and log-relay share."""
        return self.data_dir / LOG_RELAY.name / "secret"

    @property
    def gateway_url(self) -> str:
        """The URL of the gateway."""
        return f"http://{LOOPBACK}:{self.http_port}"

    @property
    def bootstrap_servers(self) -> str:
        """The address for Kafka clients."""
        return f"{LOOPBACK}:{self.kafka_port}"

    @property
    def engine_url(self) -> str:
        """The URL of the local engine's Kubernetes API."""
        return f"http://{LOOPBACK}:{self.engine_port}"

    @property
    def engine_dir(self) -> Path:
        """The local engine's data folder."""
        return self.data_dir / "engine"

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig of the cluster, or the one that the local engine writes."""
        return self.cluster or self.engine_dir / "kubeconfig"

    @property
    def logs_dir(self) -> Path:
        """The folder with one log file per process."""
        return self.data_dir / "logs"

    def health_url(self, service: str) -> str:
        """Return the URL of a service's probes and metrics."""
        return f"http://{LOOPBACK}:{self.health_ports[service]}"

    def document(self) -> dict[str, object]:
        """Return the content of `endpoints.json`."""
        return {
            "gateway": self.gateway_url,
            "health": {service.name: self.health_url(service.name) for service in self.services},
            "kafka": self.bootstrap_servers,
            "topics": TopicNames().model_dump(),
            "engine": None if self.cluster else self.engine_url,
            "kubeconfig": str(self.kubeconfig),
            "namespace": NAMESPACE,
            "data_dir": str(self.data_dir),
            "logs_dir": str(self.logs_dir),
        }


@dataclass(frozen=True, kw_only=True)
class Part:
    """A process to run; it is ready when `ready_url` answers 200."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    ready_url: str


def choose_endpoints(options: Options) -> Endpoints:
    """Return the endpoints; given ports must be free, and 0 becomes a free port.

    Raises:
        LocalModeError: a given port is in use, or the kubeconfig does not exist.
    """
    if options.cluster is not None and not options.cluster.is_file():
        raise LocalModeError(
            f"The kubeconfig {options.cluster} does not exist.",
            remedy="Name that of a cluster with Argo Workflows, or omit --kubeconfig for the local "
            "engine.",
        )
    taken = iter(ports.free_ports(8))

    def choose(port: int, *, wanted_by: str, option: str) -> int:
        if port == 0:
            return next(taken)
        ports.require_free(port + options.port_offset, wanted_by=wanted_by, option=option)
        return port + options.port_offset

    def health(service: Service) -> int:
        port = options.health_port and options.health_port + service.health_offset
        return choose(port, wanted_by=f"the {service.name}'s health", option="--health-port")

    return Endpoints(
        data_dir=options.data_dir.resolve(),
        http_port=choose(options.http_port, wanted_by="the gateway", option="--http-port"),
        kafka_port=choose(options.kafka_port, wanted_by="Kafka", option="--kafka-port"),
        engine_port=choose(
            options.engine_port, wanted_by="the local engine", option="--engine-port"
        ),
        health_ports={service.name: health(service) for service in (*SERVICES, LOG_RELAY)},
        relay_port=choose(options.relay_port, wanted_by="the log-relay", option="--relay-port"),
        cluster=options.cluster.resolve() if options.cluster else None,
        controls_topic=CONTROLS_TOPIC,
        catalogue=options.workflows.resolve() / CATALOGUE if options.workflows else None,
    )


def engine_part(endpoints: Endpoints) -> Part:
    """Return the process of the local engine."""
    arguments = ["--data-dir", str(endpoints.engine_dir), "--port", str(endpoints.engine_port)]
    return Part(
        name="engine",
        command=[sys.executable, "-m", "sluice_engine", *arguments],
        environment={},
        ready_url=f"{endpoints.engine_url}/readyz",
    )


def service_part(service: Service, endpoints: Endpoints) -> Part:
    """Return the process of a service."""
    return Part(
        name=service.name,
        command=[sys.executable, "-m", service.module],
        environment=service_environment(service, endpoints),
        ready_url=f"{endpoints.health_url(service.name)}/readyz",
    )


def service_environment(service: Service, endpoints: Endpoints) -> dict[str, str]:
    """Return the variables that configure a service."""
    environment = {
        "SLUICE_DATA_DIR": str(endpoints.data_dir / service.name),
        "SLUICE_LOG__FORMAT": "json",
        "SLUICE_HEALTH__PORT": str(endpoints.health_ports[service.name]),
    }
    if service.module != GATEWAY.module:
        environment["SLUICE_KUBERNETES__KUBECONFIG"] = str(endpoints.kubeconfig)
        environment["SLUICE_KUBERNETES__NAMESPACE"] = NAMESPACE
    if service is LOG_RELAY:
        environment["SLUICE_HTTP__PORT"] = str(endpoints.relay_port)
        environment["SLUICE_SECRET_FILE"] = str(endpoints.relay_secret)
        return environment
    environment |= {
        "SLUICE_KAFKA__BOOTSTRAP_SERVERS": endpoints.bootstrap_servers,
        "SLUICE_KAFKA__REPLICATION_FACTOR": "1",
        "SLUICE_KAFKA__SESSION_TIMEOUT": "10s",
        "SLUICE_KAFKA__INSTANCE_ID": f"{service.name}-0",
    }
    if service.name == GATEWAY.name:
        environment["SLUICE_HTTP__PORT"] = str(endpoints.http_port)
        # One machine, and loopback: nobody else can reach it.
        environment["SLUICE_AUTH__MODE"] = "none"
        if endpoints.relay_port is not None:
            relay = f"http://{LOOPBACK}:{endpoints.relay_port}"
            environment["SLUICE_STEP_LOGS__RELAY_URL"] = relay
            environment["SLUICE_STEP_LOGS__SECRET_FILE"] = str(endpoints.relay_secret)
    if endpoints.controls_topic is not None:
        environment["SLUICE_KAFKA__CONTROLS_TOPIC"] = endpoints.controls_topic
    if endpoints.catalogue is not None and service.module in (GATEWAY.module, DISPATCHER.module):
        environment["SLUICE_WORKFLOWS__CATALOGUE_FILE"] = str(endpoints.catalogue)
    return environment
