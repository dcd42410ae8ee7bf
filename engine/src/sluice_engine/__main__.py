"""`python -m sluice_engine`: run the local engine until SIGTERM or SIGINT."""

import argparse
import asyncio
import errno
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog

from sluice_engine.engine import Engine
from sluice_engine.settings import SERVER_NAME, EngineSettings
from sluice_engine.store.database import DataFolderError

EXIT_DATA_FOLDER = 1
EXIT_PORT = 2
EXIT_DEFECT = 3


def parse(arguments: Sequence[str]) -> EngineSettings:
    """Return settings from a command line."""
    parser = argparse.ArgumentParser(
        prog="python -m sluice_engine",
        description="Sluice's local engine: a stand-in for Kubernetes with Argo Workflows on one "
        "machine. It runs the steps of Workflows as local processes, without isolation and "
        "without authentication: only send it Workflows that you trust.",
    )
    defaults = EngineSettings(data_dir=Path())
    parser.add_argument("--data-dir", type=Path, required=True, help="folder for its data")
    parser.add_argument("--host", default=defaults.host, help="address (default: %(default)s)")
    parser.add_argument(
        "--port",
        type=int,
        default=defaults.port,
        help="port; 0 chooses a free one (default: %(default)s)",
    )
    parser.add_argument(
        "--parallel-steps",
        type=int,
        default=defaults.parallel_steps,
        help="steps that may run at the same time (default: %(default)s)",
    )
    parser.add_argument(
        "--bookmark-seconds",
        type=float,
        default=defaults.bookmark_seconds,
        help="seconds between the bookmarks of a watch (default: %(default)s)",
    )
    parser.add_argument(
        "--history-changes",
        type=int,
        default=defaults.history_changes,
        help="changes kept in memory for watches to resume from (default: %(default)s)",
    )
    found = parser.parse_args(arguments)
    return EngineSettings(**vars(found))


def configure_logs() -> None:
    """Write one readable line per event to stderr, named after the engine."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            lambda _logger, _method, event: {"server": SERVER_NAME, **event},
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


async def serve(settings: EngineSettings) -> int:
    """Run until SIGTERM or SIGINT and return the exit code."""
    engine = Engine(settings)
    try:
        await engine.start()
    except DataFolderError as e:
        print(f"sluice local engine: {e}", file=sys.stderr)
        return EXIT_DATA_FOLDER
    except OSError as e:
        in_use = e.errno == errno.EADDRINUSE
        why = "it is in use" if in_use else str(e.strerror or e)
        print(
            f"sluice local engine: cannot listen on {settings.host}:{settings.port}: {why}. "
            "Stop the program that uses it, or choose another --port (0: a free one).",
            file=sys.stderr,
        )
        return EXIT_PORT
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    stop = asyncio.create_task(stopped.wait())
    broken = asyncio.create_task(engine.wait())
    await asyncio.wait({stop, broken}, return_when=asyncio.FIRST_COMPLETED)
    error = broken.exception() if broken.done() else None
    for task in (stop, broken):
        task.cancel()
    await engine.stop()
    if error is not None:
        structlog.get_logger().error("the controller failed", exc_info=error)
        return EXIT_DEFECT
    return 0


def main() -> int:
    """Parse, run, return the exit code."""
    settings = parse(sys.argv[1:])
    configure_logs()
    return asyncio.run(serve(settings))


if __name__ == "__main__":
    sys.exit(main())
