"""Sluice on this machine, for a first try and for development."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from sluice_local.errors import LocalModeError
from sluice_local.kafka import default_cache_dir
from sluice_local.ports import LOOPBACK
from sluice_local.runner import data_folder
from sluice_local.runner.console import Console
from sluice_local.runner.plan import CATALOGUE, NAMESPACE, Options
from sluice_local.runner.run import run, run_kafka

_RUN = """\
Start Apache Kafka, the local engine and Sluice's services. The local engine is a stand-in
for Kubernetes and Argo; it runs the steps of Workflows as processes of this machine. Everything
listens on loopback only. Ctrl-C stops everything; the data stays in the data folder."""

_RUN_MORE = """\
Port 0 means a free port. DATA_DIR/endpoints.json lists all addresses once everything is ready.
The services get all SLUICE_... variables, for example SLUICE_LOG__LEVEL=debug."""


_DEMO = """\
Send a book to a running Sluice, show how its words are counted, and check the result."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except LocalModeError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sluice_local", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    running = _command(commands, "run", "start everything", _RUN, epilog=_RUN_MORE)
    _add_folders(running)
    _add_ports(running, ["http", "kafka", "health", "engine", "relay"])
    running.add_argument(
        "--kubeconfig",
        type=Path,
        metavar="FILE",
        help="use this cluster with Argo Workflows instead of the local engine; runs are in its "
        f"namespace {NAMESPACE}",
    )
    running.add_argument(
        "--workflows",
        type=Path,
        metavar="FOLDER",
        help=f"add workflows of your own: {CATALOGUE} there is the catalogue, and the other YAML "
        "files have WorkflowTemplates, which are applied",
    )
    running.set_defaults(command=lambda given: run(_options(given), console=Console()))

    kafka = _command(commands, "kafka", "start Apache Kafka only", "Start Apache Kafka only.")
    _add_folders(kafka)
    _add_ports(kafka, ["kafka"])
    kafka.set_defaults(
        command=lambda given: run_kafka(_options(given), console=Console()),
        http_port=0,
        health_port=0,
        engine_port=0,
        relay_port=0,
        kubeconfig=None,
        workflows=None,
    )

    showing = _command(commands, "demo", "count the words of a book", _DEMO)
    _add_data_dir(showing)
    _add_demo(showing)
    showing.set_defaults(command=_demo)

    cleaning = _command(commands, "clean", "remove the data", "Remove the data folder.")
    _add_data_dir(cleaning)
    cleaning.set_defaults(command=_clean)
    return parser


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    summary: str,
    description: str,
    *,
    epilog: str | None = None,
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_data_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-dir", type=Path, default=Path(".data"), help="folder for data (default: .data)"
    )


def _add_folders(parser: argparse.ArgumentParser) -> None:
    _add_data_dir(parser)
    parser.add_argument(
        "--cache-dir",
        type=Path,
        default=default_cache_dir(),
        help="folder for Apache Kafka's jars (default: %(default)s)",
    )


def _add_ports(parser: argparse.ArgumentParser, names: list[str]) -> None:
    meaning = {
        "http": "the gateway's HTTP port",
        "kafka": "Kafka's port",
        "health": "first of the ports of health and metrics",
        "engine": "the local engine's port",
        "relay": "the log-relay's port",
    }
    for name in names:
        parser.add_argument(
            f"--{name}-port",
            type=int,
            metavar="PORT",
            default=getattr(Options, f"{name}_port"),
            help=f"{meaning[name]} (default: %(default)s)",
        )
    parser.add_argument(
        "--port-offset",
        type=int,
        default=0,
        metavar="N",
        help="add N to all ports that are not 0, for a second Sluice on this machine",
    )


def _options(given: argparse.Namespace) -> Options:
    return Options(
        data_dir=given.data_dir,
        cache_dir=given.cache_dir,
        http_port=given.http_port,
        kafka_port=given.kafka_port,
        health_port=given.health_port,
        engine_port=given.engine_port,
        relay_port=given.relay_port,
        port_offset=given.port_offset,
        cluster=given.kubeconfig,
        workflows=given.workflows,
    )


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--text",
        type=Path,
        default=Path("examples/texts/alice-in-wonderland.txt"),
        metavar="FILE",
        help="UTF-8 text of up to 256 KiB (default: %(default)s)",
    )
    parser.add_argument(
        "--workers", type=int, default=8, help="parallel steps, 1 to 50 (default: %(default)s)"
    )
    parser.add_argument(
        "--url", help="Sluice's address (default: that of the Sluice that uses the data folder)"
    )


def _demo(given: argparse.Namespace) -> int:
    # Importing rich would slow down each start of the runner.
    from sluice_local.demo.command import run_demo  # noqa: PLC0415

    endpoints = data_folder.read_endpoints(given.data_dir)
    found = str(endpoints["gateway"]) if endpoints else f"http://{LOOPBACK}:{Options.http_port}"
    return run_demo(given.url or found, text_file=given.text, workers=given.workers)


def _clean(given: argparse.Namespace) -> int:
    removed = data_folder.remove(given.data_dir)
    print(f"{given.data_dir} removed." if removed else f"{given.data_dir}: nothing to remove.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
