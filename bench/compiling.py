"""How long it takes to make a Workflow of a record, without I/O: `python -m bench.compiling`.

The figure is the median processor time of decoding a record as the dispatcher does, and of building
the Workflow from the compiled skeleton, for each built-in workflow.
"""

import argparse
import json
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path

from sluice_contracts.ids import RunKey
from sluice_contracts.records import IncomingRecord, Position
from sluice_contracts.request_codec import ReceivedRun, decode_request, encode_request
from sluice_contracts.requests import RunRequest
from sluice_dispatcher.domain.workflow_builder import WorkflowBuilder
from sluice_runtime.kubernetes.namespaces import Namespaces
from sluice_workflows.catalogue import load_catalogue
from sluice_workflows.compiler import compile_entry
from sluice_workflows.settings import CompileSettings

_PARAMETERS: dict[str, dict[str, object]] = {
    "hello": {"name": "Ada"},
    "map-reduce": {"text": "to be or not to be " * 100, "workers": 8},
}


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.compiling",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--requests", type=int, default=5000, help="of each (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args()
    catalogue = load_catalogue(file=None, entry_points=())
    skeletons = {each.name: compile_entry(each, settings=CompileSettings()) for each in catalogue}
    builder = WorkflowBuilder(catalogue, skeletons, namespaces=Namespaces(default="sluice"))
    figures = {}
    for workflow, parameters in _PARAMETERS.items():
        record = _record(workflow, parameters)
        taken = []
        for _ in range(options.requests):
            began = time.process_time_ns()
            received = decode_request(record)
            if not isinstance(received, ReceivedRun):
                raise TypeError("the record asks for a run")
            builder.build(received, record=record)
            taken.append((time.process_time_ns() - began) / 1e6)
        figures[workflow] = {
            "p50_ms": statistics.median(taken),
            "p99_ms": statistics.quantiles(taken, n=100)[98],
        }
        print(f"{workflow:12}" + "".join(f"  {k} {v:.3f}" for k, v in figures[workflow].items()))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


def _record(workflow: str, parameters: dict[str, object]) -> IncomingRecord:
    key = RunKey("default", "order-4711")
    request = RunRequest.model_validate(
        {"workflow": workflow, "parameters": parameters, "id": key.run_id}
    )
    now = datetime.now(UTC)
    written = encode_request(
        request,
        key=key,
        source="/bench",
        event_id=str(key),
        time=now,
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )
    return IncomingRecord(
        position=Position("sluice.requests", 0, 0),
        timestamp_ms=int(now.timestamp() * 1000),
        key=written.key,
        value=written.value,
        headers=written.headers,
    )


if __name__ == "__main__":
    main()
