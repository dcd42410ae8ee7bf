"""The composition root: makes the adapters and runs the service."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial

import structlog
from prometheus_client import CollectorRegistry

from sluice_log_relay.adapters.http_server import serve_http
from sluice_log_relay.adapters.pods_api import PodsApi
from sluice_log_relay.app import create_app
from sluice_log_relay.handlers.app_keys import Limits
from sluice_log_relay.metrics import Metrics
from sluice_log_relay.services.log_reading import LogReading
from sluice_log_relay.settings import Settings
from sluice_runtime.durations import seconds
from sluice_runtime.kubernetes.client import ClusterConfigurationError, KubernetesClient
from sluice_runtime.loop_delay import LoopDelay
from sluice_runtime.probes import serve_probes
from sluice_runtime.reloaded_file import ReloadedFile
from sluice_runtime.service import StartupError
from sluice_runtime.shared_secret import read_secrets
from sluice_runtime.strict_yaml import FileError
from sluice_runtime.supervision import run_tasks

__all__ = ["serve"]

_log = structlog.get_logger(__name__)


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run the log-relay until `stop` is set.

    Raises:
        StartupError: the secret, the connection to the cluster or a port cannot work.
        TaskEndedError: a task has ended.
    """
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    try:
        secrets = ReloadedFile(
            settings.secret_file, partial(read_secrets, source=str(settings.secret_file))
        )
    except FileError as e:
        raise StartupError(f"secret_file (SLUICE_SECRET_FILE): {e}") from e
    async with AsyncExitStack() as stack:
        try:
            cluster = await stack.enter_async_context(
                # Beside the logs, pods are looked at.
                KubernetesClient.connect(settings.kubernetes, connections=2 * settings.max_streams)
            )
        except ClusterConfigurationError as e:
            raise StartupError(str(e)) from e
        reading = LogReading(
            PodsApi(cluster, request_timeout=settings.kubernetes.request_timeout),
            namespaces=settings.kubernetes.namespaces,
            metrics=metrics,
            max_streams=settings.max_streams,
            patience=seconds(settings.patience),
        )
        app = create_app(
            reading,
            secrets=lambda: secrets.value,
            metrics=metrics,
            limits=Limits(
                keepalive=seconds(settings.keepalive),
                write_timeout=seconds(settings.write_timeout),
            ),
        )
        try:
            health_port = await stack.enter_async_context(
                serve_probes(
                    settings.health,
                    readiness={"process": lambda: "stopping" if stop.is_set() else None},
                    registry=registry,
                )
            )
            port = await stack.enter_async_context(serve_http(app, settings.http))
        except OSError as e:
            raise StartupError(
                f"SLUICE_HTTP__HOST, SLUICE_HTTP__PORT and SLUICE_HEALTH__PORT: {e.strerror or e}"
            ) from e
        _log.info("log-relay started", port=port, health_port=health_port)
        await run_tasks(
            {"secret file": secrets.run(), "loop delay": LoopDelay(registry).run()},
            stop=stop,
            grace=settings.shutdown_grace,
        )
    _log.info("log-relay stopped")
