"""Write the JSON Schemas of all messages: `python -m sluice_contracts.schemas docs/schemas`."""

import argparse
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter

from sluice_contracts.graphs import PlannedGraph
from sluice_contracts.notices import QueueNotice, RefusalNotice
from sluice_contracts.problems import Problem
from sluice_contracts.requests import ResumeCommand, RetryCommand, RunRequest, SimpleCommand
from sluice_contracts.status import StatusEvent

__all__ = ["json_schemas"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schemas() -> dict[str, str]:
    """Return the text of each schema by file name."""
    # Outgoing messages always have every member; incoming ones may omit members with a default.
    incoming: dict[str, Any] = {
        "run-request": RunRequest,
        "command": SimpleCommand | ResumeCommand | RetryCommand,
    }
    outgoing: dict[str, type[BaseModel]] = {
        "status-event": StatusEvent,
        "refusal-notice": RefusalNotice,
        "queue-notice": QueueNotice,
        "problem": Problem,
        "planned-graph": PlannedGraph,
    }
    schemas = {name: _schema(model, mode="validation") for name, model in incoming.items()} | {
        name: _schema(model, mode="serialization") for name, model in outgoing.items()
    }
    return {f"{name}.json": _text(schema) for name, schema in schemas.items()}


def _schema(model: Any, *, mode: Literal["validation", "serialization"]) -> dict[str, Any]:  # noqa: ANN401 - a model or a union of some
    return {"$schema": _DIALECT, **TypeAdapter(model).json_schema(mode=mode)}


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the schemas into a folder."""
    parser = argparse.ArgumentParser(description="Write the JSON Schemas of Sluice's messages.")
    parser.add_argument("folder", type=Path, help="folder to write into, e.g. docs/schemas")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in json_schemas().items():
        (folder / name).write_text(text, encoding="utf-8")
        print(f"wrote {folder / name}")  # noqa: T201 - a command talks to its user


if __name__ == "__main__":
    main()
