"""Start and end of a service's process, the same for all services."""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import TypeVar

import structlog
import uvloop
from pydantic import BaseModel

from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.errors import CredentialsError, KafkaUnavailableError
from sluice_runtime.kafka.tenant_files import TenantFileError
from sluice_runtime.logs import configure_logs
from sluice_runtime.retry import retry_forever
from sluice_runtime.settings import ServiceSettings, SettingsError, load_settings
from sluice_runtime.supervision import TaskEndedError, stop_on_signals

__all__ = ["StartupError", "StoppedError", "run_service", "wait_for_kafka"]

_log = structlog.get_logger(__name__)

_CLOSING = timedelta(seconds=3)

S = TypeVar("S", bound=ServiceSettings)
T = TypeVar("T")


class StartupError(Exception):
    """The service cannot start with its settings; the message says what to change."""


def run_service(
    *,
    name: str,
    summary: str,
    settings_type: type[S],
    serve: Callable[[S, asyncio.Event], Awaitable[None]],
) -> None:
    """Read the settings and serve until SIGTERM or SIGINT.

    The process exits with 2 if it cannot start with its settings, and with 1 if a task ended by
    itself; the log names the task.
    """
    argparse.ArgumentParser(
        prog=name,
        description=f"{summary}\n\nIt takes no arguments. Set these variables, or name a YAML file "
        "of the same shape\nin SLUICE_CONFIG:\n\n" + "\n".join(_described(settings_type)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    try:
        settings = load_settings(settings_type)
        configure_logs(settings.log, service=name)
        uvloop.run(_until_signalled(serve, settings))
    except (SettingsError, StartupError, CredentialsError, TenantFileError) as e:
        print(f"{name}: {e}", file=sys.stderr)  # noqa: T201 - the logs may not be set up
        sys.exit(2)
    except TaskEndedError:
        sys.exit(1)


class StoppedError(Exception):
    """The stop signal came during the start; there is nothing to finish."""


async def wait_for_kafka(
    step: Callable[[], Awaitable[T]], *, backoff: Backoff, stop: asyncio.Event
) -> T:
    """Run a step of the start-up until Kafka is there.

    Raises:
        StoppedError: `stop` was set before.
    """

    def log_retry(error: Exception, pause: float) -> None:
        _log.warning("waiting for Kafka", error=str(error), retry_in=pause)

    trying = asyncio.create_task(
        retry_forever(step, on=KafkaUnavailableError, backoff=backoff, on_retry=log_retry)
    )
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({trying, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not trying.done():
            raise StoppedError
        return trying.result()
    finally:
        trying.cancel()
        stopping.cancel()
        await asyncio.wait({trying, stopping})


async def _until_signalled(
    serve: Callable[[S, asyncio.Event], Awaitable[None]], settings: S
) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    serving = asyncio.ensure_future(serve(settings, stop))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    # `serve` sees `stop`, has its grace period, and then a little time to close connections.
    grace = settings.shutdown_grace + _CLOSING
    _, late = await asyncio.wait({serving}, timeout=grace.total_seconds())
    if late:
        serving.cancel()
        await asyncio.wait({serving})
    if not serving.cancelled():
        with contextlib.suppress(StoppedError):
            serving.result()


def _described(settings_type: type[BaseModel], prefix: str = "SLUICE_") -> Iterator[str]:
    for name, field in settings_type.model_fields.items():
        variable = f"{prefix}{name.upper()}"
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            nested = field.default if isinstance(field.default, BaseModel) else annotation
            yield from _nested(annotation, nested, prefix=f"{variable}__")
        else:
            yield _line(variable, field.description, default=field.default)


def _nested(
    model: type[BaseModel], defaults: BaseModel | type[BaseModel], *, prefix: str
) -> Iterator[str]:
    for name, field in model.model_fields.items():
        variable = f"{prefix}{name.upper()}"
        default = getattr(defaults, name, field.default)
        if isinstance(default, BaseModel):
            yield from _nested(type(default), default, prefix=f"{variable}__")
        else:
            yield _line(variable, field.description, default=default)


def _line(variable: str, description: str | None, *, default: object) -> str:
    shown = _duration(default) if isinstance(default, timedelta) else default
    return f"  {variable}\n      {description} [{shown}]"


def _duration(length: timedelta) -> str:
    return f"{length.total_seconds():g}s"
