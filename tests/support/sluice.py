"""A whole Sluice for tests: the three services as processes, on any engine.

It uses the session's Kafka, with its own topics, data, ports and namespace. Any service can be
killed and started again at any time.
"""

import asyncio
import contextlib
import os
import shutil
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml
from aiokafka import AIOKafkaConsumer, ConsumerRecord

from sluice_argo.workflows_api import WorkflowsApi
from sluice_contracts.topics import TopicNames
from sluice_local.ports import free_ports
from sluice_local.processes import ChildProcess
from sluice_local.runner.data_folder import write_secret
from sluice_local.runner.plan import (
    LOG_RELAY,
    NAMESPACE,
    SERVICES,
    Endpoints,
    Service,
    engine_part,
    service_part,
)
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.consumer import partitions_of
from sluice_runtime.kubernetes.client import KubernetesClient
from sluice_runtime.kubernetes.settings import KubernetesSettings
from tests.support.client import OUTCOME_SECONDS, Client
from tests.support.engines import Engine
from tests.support.kafka import KafkaServer, topic_names

Json = dict[str, Any]

DATA = Path("tests/data/e2e")
CATALOGUE = {"SLUICE_WORKFLOWS__CATALOGUE_FILE": str((DATA / "catalogue.yaml").resolve())}
READY_SECONDS = 120.0
_SEVERAL = ("dispatcher", "gateway")


class Sluice:
    """One Sluice on loopback.

    `environment` maps services to additional variables. `launchers` maps services to prefixes of
    their commands: programs that become the service. With `logs` it has a log-relay.
    """

    def __init__(
        self,
        kafka: KafkaServer,
        data_dir: Path,
        *,
        engine: Engine,
        environment: Mapping[str, Mapping[str, str]] | None = None,
        launchers: Mapping[str, Sequence[str]] | None = None,
        logs: bool = False,
    ) -> None:
        services = (*SERVICES, LOG_RELAY) if logs else SERVICES
        self._services = {service.name: service for service in services}
        self._additions = environment or {}
        self._launchers = launchers or {}
        self.engine = engine
        self._home = home = engine.home()
        self.kafka = kafka
        self.topics: TopicNames = topic_names("e2e")
        http, engine_port, relay_port, *health = free_ports(3 + len(services))
        self.endpoints = Endpoints(
            data_dir=data_dir,
            http_port=http,
            kafka_port=int(kafka.bootstrap_servers.rpartition(":")[2]),
            engine_port=engine_port,
            health_ports=dict(zip(self._services, health, strict=True)),
            cluster=home.kubeconfig if home else None,
            relay_port=relay_port if logs else None,
        )
        write_secret(self.endpoints.relay_secret)
        topics = {
            f"SLUICE_KAFKA__TOPICS__{name.upper()}": topic
            for name, topic in self.topics.model_dump().items()
        }
        # The session's Kafka is shared, so each Sluice needs its own group.
        self.group = f"{self.topics.requests}.dispatcher"
        self._environment = {
            **topics,
            "SLUICE_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "SLUICE_KAFKA__SESSION_TIMEOUT": "6s",
        }
        self._children: dict[str, ChildProcess] = {}

    @property
    def url(self) -> str:
        """The URL of the gateway."""
        return self.endpoints.gateway_url

    def start(self, *names: str) -> None:
        """Start these processes, or all, and wait until they are ready."""
        if not names:
            if self._home is None:
                self.start("engine")
            self.apply(DATA / "templates.yaml")
            names = tuple(service.name for service in self.endpoints.services)
        ready: list[tuple[ChildProcess, str]] = []
        for name in names:
            part = (
                engine_part(self.endpoints)
                if name == "engine"
                else service_part(self._services[name], self.endpoints)
            )
            kind = next((each for each in _SEVERAL if name.startswith(each)), name)
            child = ChildProcess(
                name,
                [*self._launchers.get(kind, ()), *part.command],
                log_path=self.endpoints.logs_dir / f"{name}.log",
                environment={
                    **os.environ,
                    **part.environment,
                    **self._environment,
                    **({"SLUICE_DISPATCH__GROUP": self.group} if kind == "dispatcher" else {}),
                    **(CATALOGUE if kind in ("gateway", "dispatcher") else {}),
                    **(self._home.environment(kind) if self._home else {}),
                    **self._additions.get(kind, {}),
                    **self._additions.get(name, {}),
                },
            )
            self._children[name] = child
            ready.append((child, part.ready_url))
        for child, url in ready:
            _wait_until_ready(child, url)

    def stop(self, *names: str) -> None:
        """Stop these processes in order, or all."""
        for name in names or (*self._services, "engine"):
            if name in self._children:
                self._children.pop(name).stop(grace_seconds=30)

    def another_dispatcher(self, **environment: str) -> str:
        """Add a dispatcher to the group, with data of its own; return its name to start it by.

        It has the variables of the first one, and these.
        """
        [health] = free_ports(1)
        return self._another("dispatcher", "sluice_dispatcher", environment, health=health)

    def another_gateway(self, settings: Callable[[str], Mapping[str, str]]) -> tuple[str, str]:
        """Add a gateway, with data of its own; return its name to start it by, and its origin.

        Its variables are what `settings` makes of the origin.
        """
        port, health = free_ports(2)
        origin = f"http://localhost:{port}"
        environment = {"SLUICE_HTTP__PORT": str(port), **settings(origin)}
        return self._another("gateway", "sluice_gateway", environment, health=health), origin

    def _another(
        self, kind: str, module: str, environment: Mapping[str, str], *, health: int
    ) -> str:
        name = f"{kind}-{len(self._services)}"
        self._services[name] = Service(name, module, len(self._services))
        self._additions = {**self._additions, name: environment}
        ports = {**self.endpoints.health_ports, name: health}
        self.endpoints = replace(self.endpoints, health_ports=ports)
        return name

    def kill(self, name: str) -> None:
        """Send SIGKILL to a process."""
        self._children.pop(name).kill()

    def child(self, name: str) -> ChildProcess:
        """Return a process that was started."""
        return self._children[name]

    def log(self, name: str) -> str:
        """Return the whole log of a process."""
        return (self.endpoints.logs_dir / f"{name}.log").read_text(encoding="utf-8")

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """Yield an HTTP client of the gateway."""
        async with aiohttp.ClientSession(self.url) as http:
            yield Client(http)

    @property
    def namespace(self) -> str:
        """The namespace of its Workflows."""
        return self._home.namespace if self._home else NAMESPACE

    @contextlib.asynccontextmanager
    async def kubernetes(self) -> AsyncIterator[KubernetesClient]:
        """Yield an administrator's client of its engine."""
        settings = KubernetesSettings(kubeconfig=self.endpoints.kubeconfig)
        async with KubernetesClient.connect(settings) as client:
            yield client

    @contextlib.asynccontextmanager
    async def workflows(self) -> AsyncIterator[WorkflowsApi]:
        """Yield an administrator's client of its Workflows."""
        async with self.kubernetes() as client:
            yield WorkflowsApi(
                client, namespace=self.namespace, request_timeout=timedelta(seconds=15)
            )

    async def delete(self, name: str) -> None:
        """Delete a Workflow as an administrator."""
        async with self.kubernetes() as client:
            path = self._path(f"workflows/{name}")
            await client.call("DELETE", path, deadline=Deadline("Deleting", timedelta(seconds=15)))

    async def delete_pods(self, event: Json) -> None:
        """Delete the pods of a run that has ended, as an administrator."""
        if self._home is None:
            # The local engine has a pod as long as it has the folder of the step.
            shutil.rmtree(self.endpoints.engine_dir / "steps" / event["uid"])
            return
        async with self.kubernetes() as client:
            await client.call(
                "DELETE",
                f"/api/v1/namespaces/{self.namespace}/pods",
                query={"labelSelector": f"workflows.argoproj.io/workflow={event['workflow_name']}"},
                deadline=Deadline("Deleting pods", timedelta(seconds=15)),
            )

    def apply(self, templates: Path) -> None:
        """Create the WorkflowTemplates of a file."""
        asyncio.run(self._make(list(yaml.safe_load_all(templates.read_bytes()))))

    async def _make(self, templates: list[Json]) -> None:
        async with self.kubernetes() as client:
            for body in templates:
                deadline = Deadline("Making a template", timedelta(seconds=15))
                path = self._path("workflowtemplates")
                await client.call("POST", path, body=body, deadline=deadline)

    def _path(self, rest: str) -> str:
        return f"/apis/argoproj.io/v1alpha1/namespaces/{self.namespace}/{rest}"


class Topic:
    """A reader of a topic that continues where it stopped."""

    def __init__(self, kafka: KafkaServer, topic: str) -> None:
        self._topic = topic
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=kafka.bootstrap_servers,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=4 * 1024 * 1024,
            fetch_max_wait_ms=100,
        )

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        self._consumer.assign(list(await partitions_of(self._consumer, [self._topic])))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def records(self) -> AsyncIterator[ConsumerRecord]:
        """Yield records without end; TimeoutError if none comes within OUTCOME_SECONDS."""
        while True:
            async with asyncio.timeout(OUTCOME_SECONDS):
                record = await self._consumer.getone()
            yield record

    async def of(self, key: bytes) -> AsyncIterator[ConsumerRecord]:
        """Yield the records of one key."""
        async for record in self.records():
            if record.key == key:
                yield record


def _wait_until_ready(child: ChildProcess, url: str) -> None:
    waited, step = 0.0, 0.05
    while waited < READY_SECONDS:
        # The wait ends early, with an error, if the process ends.
        with contextlib.suppress(TimeoutError):
            code = child.exited.result(timeout=step)
            raise AssertionError("\n".join([f"{child.name} ended with {code}:", *child.tail()]))
        waited += step
        if _answers(url):
            return
    raise AssertionError("\n".join([f"{child.name} is not ready at {url}:", *child.tail()]))


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - loopback
            return bool(response.status == HTTPStatus.OK)
    except OSError:
        return False


@contextlib.contextmanager
def running_sluice(
    kafka: KafkaServer,
    data_dir: Path,
    *,
    engine: Engine,
    environment: Mapping[str, Mapping[str, str]] | None = None,
    logs: bool = False,
) -> Iterator[Sluice]:
    """Run a Sluice while the body runs."""
    sluice = Sluice(kafka, data_dir, engine=engine, environment=environment, logs=logs)
    try:
        sluice.start()
        yield sluice
    finally:
        sluice.stop()
