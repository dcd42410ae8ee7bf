"""How long each service takes to import, and to be ready: `python -m bench.starting`.

Importing is processor time, beyond that of an empty Python. A start is from the process to the
first 200 of its readiness probe, with Kafka and the local engine there and all topics made.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sluice_local.kafka import EmbeddedKafka
from tests.support.engines import running_engine
from tests.support.kafka import running_broker
from tests.support.matrix import LOCAL
from tests.support.sluice import Sluice

_MODULES = {
    "gateway": "sluice_gateway.bootstrap",
    "dispatcher": "sluice_dispatcher.bootstrap",
    "status-watcher": "sluice_status_watcher.bootstrap",
}


def import_seconds(module: str | None, *, rounds: int) -> float:
    """Return the processor time of a Python that imports the module, in seconds."""
    found = []
    for _ in range(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", f"import {module}" if module else ""], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(found)


def start_seconds(sluice: Sluice, service: str, *, rounds: int) -> list[float]:
    """Return how long the service took to be ready, a figure for each start."""
    found = []
    for _ in range(rounds):
        sluice.stop(service)
        began = time.perf_counter()
        # It looks twenty times a second.
        sluice.start(service)
        found.append(time.perf_counter() - began)
    return found


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.starting",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=7, help="starts of each (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args()
    empty = import_seconds(None, rounds=options.rounds)
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with running_broker(EmbeddedKafka(data_dir=home / "kafka")) as kafka:
            sluice = Sluice(kafka, home / "sluice", engine=running_engine(LOCAL))
            try:
                sluice.start()
                print(f"{'':16}{'import s':>10}{'ready s':>10}{'slowest':>10}")
                for service, module in _MODULES.items():
                    ready = start_seconds(sluice, service, rounds=options.rounds)
                    figures[service] = {
                        "import": import_seconds(module, rounds=options.rounds) - empty,
                        "ready": statistics.median(ready),
                        "slowest": max(ready),
                    }
                    print(
                        f"{service:16}" + "".join(f"{x:>10.2f}" for x in figures[service].values())
                    )
            finally:
                sluice.stop()
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
