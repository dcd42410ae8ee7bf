"""Write the graphs of the built-in workflows: `python -m sluice_workflows.built_in_graphs FILE`."""

import argparse
import json
from pathlib import Path

from sluice_workflows.builtin import BUILT_IN
from sluice_workflows.compiler import compile_entry
from sluice_workflows.planned_graph import planned_graph
from sluice_workflows.settings import CompileSettings

__all__ = ["built_in_graphs"]


def built_in_graphs() -> str:
    """Return the graphs as JSON, by the names of the workflows. Compiles all of them."""
    graphs = {}
    for entry in BUILT_IN:
        skeleton = compile_entry(entry, settings=CompileSettings())
        graph = planned_graph(json.loads(skeleton.manifest)["spec"])
        if graph is not None:
            graphs[entry.name] = graph.model_dump(mode="json", exclude_defaults=True)
    return json.dumps(graphs, indent=2) + "\n"


def main() -> None:
    """Write them into a file."""
    parser = argparse.ArgumentParser(description="Write the graphs of the built-in workflows.")
    parser.add_argument("file", type=Path, help="the file graphs.json of sluice_workflows.builtin")
    file: Path = parser.parse_args().file
    file.write_text(built_in_graphs(), encoding="utf-8")


if __name__ == "__main__":
    main()
