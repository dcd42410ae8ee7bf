"""Logs: one JSON object per line, or coloured text for people."""

import json
import logging
import sys
from typing import Annotated, Any, Final, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field

__all__ = ["LogSettings", "configure_logs"]

_CHATTY = (
    "aiokafka",
    "aiosqlite",
    "asyncpg",
    "kafka",
    "asyncio",
    "aiohttp.access",
    "botocore",
    "urllib3",
)

# `json.dumps` with a default would make one for each line.
_JSON: Final = json.JSONEncoder(default=repr)


class LogSettings(BaseModel):
    """Format and level of the logs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Annotated[
        Literal["json", "console"], Field(description="`json` for machines, `console` for people.")
    ] = "json"
    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Field(description="The lowest level that is written."),
    ] = "info"


def configure_logs(settings: LogSettings, *, service: str) -> None:
    """Write structlog and the standard library's logging to standard output, in one format."""
    level = getattr(logging, settings.level.upper())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.stdlib.ExtraAdder(),
        _name_service(service),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    rendered: list[Any] = (
        [structlog.processors.format_exc_info, _as_json]
        if settings.format == "json"
        # Rich tracebacks would show local variables, and with them parameter values and secrets.
        else [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared[:2], structlog.stdlib.add_logger_name, *shared[2:]],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    handler.addFilter(_not_an_error_yet)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # Their INFO is of use to their authors only; their DEBUG has the content of records and tokens.
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[
            *shared[:2],
            *shared[3:],
            *rendered,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # Not by the standard library's logging, which would take three times as long.
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )


def _not_an_error_yet(record: logging.LogRecord) -> bool:
    """Lower aiokafka's errors to warnings: it retries them, and the services log the result."""
    if record.name.startswith("aiokafka") and record.levelno == logging.ERROR:
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


def _as_json(_: Any, __: str, event: dict[str, Any]) -> str:  # noqa: ANN401 - as above
    return _JSON.encode(event)


def _name_service(service: str) -> Any:  # noqa: ANN401 - structlog's own type is a callable of Any
    def processor(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401
        event["service"] = service
        return event

    return processor
