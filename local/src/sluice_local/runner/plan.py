"""What runs where: options in, endpoints and command lines out. Pure but for picking free ports."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sluice_contracts.topics import TopicNames
from sluice_local import ports
from sluice_local.errors import LocalModeError
from sluice_local.ports import LOOPBACK

NAMESPACE = "argo"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a person chooses. A port of 0 takes a free one; a cluster replaces the local engine."""

    data_dir: Path
    cache_dir: Path
    http_port: int = 8080
    kafka_port: int = 9092
    health_port: int = 8090
    engine_port: int = 8093
    port_offset: int = 0
    cluster: Path | None = None


@dataclass(frozen=True)
class Service:
    """One of Sluice's services; ``health_offset`` is added to the first health port."""

    name: str
    module: str
    health_offset: int


SERVICES = (
    Service("gateway", "sluice_gateway", 0),
    Service("dispatcher", "sluice_dispatcher", 1),
    Service("status-watcher", "sluice_status_watcher", 2),
)


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """Where everything is, once the ports are settled.

    ``cluster`` is the kubeconfig of a Kubernetes to use instead of the local engine.
    """

    data_dir: Path
    http_port: int
    kafka_port: int
    engine_port: int
    health_ports: Mapping[str, int]
    cluster: Path | None = None

    @property
    def gateway_url(self) -> str:
        """Where runs are asked for."""
        return f"http://{LOOPBACK}:{self.http_port}"

    @property
    def bootstrap_servers(self) -> str:
        """What Kafka clients connect to."""
        return f"{LOOPBACK}:{self.kafka_port}"

    @property
    def engine_url(self) -> str:
        """Where the local engine speaks the Kubernetes API."""
        return f"http://{LOOPBACK}:{self.engine_port}"

    @property
    def engine_dir(self) -> Path:
        """The local engine's data folder."""
        return self.data_dir / "engine"

    @property
    def kubeconfig(self) -> Path:
        """How to reach the cluster, or the local engine, which writes it."""
        return self.cluster or self.engine_dir / "kubeconfig"

    @property
    def logs_dir(self) -> Path:
        """One log file for each process."""
        return self.data_dir / "logs"

    def health_url(self, service: str) -> str:
        """Where a service's probes and metrics are."""
        return f"http://{LOOPBACK}:{self.health_ports[service]}"

    def document(self) -> dict[str, object]:
        """Return ``endpoints.json``, for programs."""
        return {
            "gateway": self.gateway_url,
            "health": {service.name: self.health_url(service.name) for service in SERVICES},
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
    """A process to run, ready when ``ready_url`` answers 200."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    ready_url: str


def settle(options: Options) -> Endpoints:
    """Settle the ports: what was asked for must be free, zeros become free ports.

    Raises:
        LocalModeError: a wanted port is taken, or there is no such kubeconfig.
    """
    if options.cluster is not None and not options.cluster.is_file():
        raise LocalModeError(
            f"There is no kubeconfig {options.cluster}.",
            way_out="Name the one of a cluster that runs Argo Workflows, or leave --kubeconfig "
            "away for the local engine.",
        )
    taken = iter(ports.free_ports(6))

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
        health_ports={service.name: health(service) for service in SERVICES},
        cluster=options.cluster.resolve() if options.cluster else None,
    )


def engine_part(endpoints: Endpoints) -> Part:
    """Return how the local engine is run."""
    arguments = ["--data-dir", str(endpoints.engine_dir), "--port", str(endpoints.engine_port)]
    return Part(
        name="engine",
        command=[sys.executable, "-m", "sluice_engine", *arguments],
        environment={},
        ready_url=f"{endpoints.engine_url}/readyz",
    )


def service_part(service: Service, endpoints: Endpoints) -> Part:
    """Return how a service is run."""
    return Part(
        name=service.name,
        command=[sys.executable, "-m", service.module],
        environment=service_environment(service, endpoints),
        ready_url=f"{endpoints.health_url(service.name)}/readyz",
    )


def service_environment(service: Service, endpoints: Endpoints) -> dict[str, str]:
    """Return what a service is told: everything it needs to know comes from here."""
    environment = {
        "SLUICE_DATA_DIR": str(endpoints.data_dir / service.name),
        "SLUICE_LOG__FORMAT": "json",
        "SLUICE_HEALTH__PORT": str(endpoints.health_ports[service.name]),
        "SLUICE_KAFKA__BOOTSTRAP_SERVERS": endpoints.bootstrap_servers,
        "SLUICE_KAFKA__REPLICATION_FACTOR": "1",
        "SLUICE_KAFKA__SESSION_TIMEOUT": "10s",
        "SLUICE_KAFKA__INSTANCE_ID": f"{service.name}-0",
    }
    if service.name == "gateway":
        environment["SLUICE_HTTP__PORT"] = str(endpoints.http_port)
    else:
        environment["SLUICE_KUBERNETES__KUBECONFIG"] = str(endpoints.kubeconfig)
        environment["SLUICE_KUBERNETES__NAMESPACE"] = NAMESPACE
    return environment
