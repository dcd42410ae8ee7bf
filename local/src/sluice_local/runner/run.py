"""Starts all processes in order, supervises them, and stops them in order."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from sluice_local.kafka import DEFAULT_VERSION, EmbeddedKafka, jars
from sluice_local.runner import data_folder, plan
from sluice_local.runner.console import Console
from sluice_local.runner.own_workflows import (
    WorkflowTemplate,
    apply_templates,
    read_templates,
)
from sluice_local.runner.plan import LOG_RELAY, SERVICES, Endpoints, Options
from sluice_local.runner.summary import summary
from sluice_local.runner.supervision import Supervisor, describe_end

# A service has 20 s to finish its work (shutdown_grace), and some more to close connections.
_SERVICE_GRACE_SECONDS = 25.0
_ENGINE_GRACE_SECONDS = 10.0
_KAFKA_GRACE_SECONDS = 20.0

Start = Callable[[Supervisor], Awaitable[None]]
"""Starts the processes, and reports when they are ready."""


def run(options: Options, *, console: Console) -> int:
    """Run Sluice until a signal, or until a process ends by itself; return the exit code.

    Raises:
        LocalModeError: it cannot be started; no process is left running.
    """
    began = time.monotonic()

    templates = read_templates(options.workflows) if options.workflows else []

    async def start(supervisor: Supervisor) -> None:
        await _start_all(endpoints, options.cache_dir, templates, supervisor, console)
        data_folder.publish_endpoints(endpoints.data_dir, endpoints.document())
        console.write(summary(endpoints, seconds=time.monotonic() - began))

    with data_folder.locked(options.data_dir):
        data_folder.withdraw_endpoints(options.data_dir)
        endpoints = plan.choose_endpoints(options)
        data_folder.write_secret(endpoints.relay_secret)
        _fetch_kafka(options, console)
        try:
            return asyncio.run(supervise(start, logs_dir=endpoints.logs_dir, console=console))
        finally:
            data_folder.withdraw_endpoints(options.data_dir)


def run_kafka(options: Options, *, console: Console) -> int:
    """Run Kafka only, on the same data as `run`; return the exit code.

    Raises:
        LocalModeError: it cannot be started.
    """

    async def start(supervisor: Supervisor) -> None:
        await _start_kafka(endpoints, options.cache_dir, supervisor, console)
        console.write(f"Apache Kafka answers on {endpoints.bootstrap_servers}. Ctrl-C stops it.")

    with data_folder.locked(options.data_dir):
        endpoints = plan.choose_endpoints(options)
        _fetch_kafka(options, console)
        return asyncio.run(supervise(start, logs_dir=endpoints.logs_dir, console=console))


def _fetch_kafka(options: Options, console: Console) -> None:
    """Fetch Kafka before the event loop starts, so that Ctrl-C ends a slow download."""
    jars.ensure(DEFAULT_VERSION, cache_dir=options.cache_dir, progress=console.fetching)


async def supervise(start: Start, *, logs_dir: Path, console: Console) -> int:
    """Start all processes, wait for a signal or the end of one of them, then stop them.

    Returns:
        The exit code: 0 after a signal, 1 if a process ended by itself.

    Raises:
        LocalModeError: the start failed; no process is left running.
    """
    supervisor = Supervisor(logs_dir=logs_dir, console=console)
    stopped = _first_signal(supervisor, console)
    starting = asyncio.ensure_future(start(supervisor))
    try:
        await _first(starting, stopped, supervisor.ended)
        if starting.done():
            starting.result()
            await _first(stopped, supervisor.ended)
        if stopped.done():
            return 0
        console.write(f"\n{describe_end(supervisor.ended.result())}")
        return 1
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await _stop_all(supervisor, console)


async def _start_all(
    endpoints: Endpoints,
    cache_dir: Path,
    templates: Sequence[WorkflowTemplate],
    supervisor: Supervisor,
    console: Console,
) -> None:
    await _together(
        _start_kafka(endpoints, cache_dir, supervisor, console),
        *([] if endpoints.cluster else [supervisor.start(plan.engine_part(endpoints))]),
    )
    if templates:
        await apply_templates(templates, kubeconfig=endpoints.kubeconfig)
        console.write(f"Applied: {', '.join(each.name for each in templates)}.")
    await _together(
        *(supervisor.start(plan.service_part(service, endpoints)) for service in endpoints.services)
    )


async def _start_kafka(
    endpoints: Endpoints, cache_dir: Path, supervisor: Supervisor, console: Console
) -> None:
    kafka = EmbeddedKafka(
        data_dir=endpoints.data_dir / "kafka",
        cache_dir=cache_dir,
        port=endpoints.kafka_port,
        log_path=data_folder.log_file(endpoints.logs_dir, "kafka"),
        on_line=console.lines_of("kafka"),
    )
    await kafka.start()
    supervisor.watch(kafka.process)


async def _stop_all(supervisor: Supervisor, console: Console) -> None:
    """Stop the services, then the engine, then Kafka, so that none loses a dependency."""
    console.write("Stopping.")
    await supervisor.stop(
        *(service.name for service in (*SERVICES, LOG_RELAY)), grace_seconds=_SERVICE_GRACE_SECONDS
    )
    await supervisor.stop("engine", grace_seconds=_ENGINE_GRACE_SECONDS)
    await supervisor.stop("kafka", grace_seconds=_KAFKA_GRACE_SECONDS)
    console.write("Everything has stopped.")


def _first_signal(supervisor: Supervisor, console: Console) -> asyncio.Future[None]:
    """Return a future of the first Ctrl-C or SIGTERM; the second one ends everything at once."""
    loop = asyncio.get_running_loop()
    first: asyncio.Future[None] = loop.create_future()

    def on_signal() -> None:
        if first.done():
            console.write("Second signal: killing all processes.")
            supervisor.kill_all()
        else:
            first.set_result(None)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    return first


async def _first(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


async def _together(*starts: Coroutine[None, None, object]) -> None:
    """Run starts concurrently; the first failure cancels the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for start in starts:
                group.create_task(start)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors
