"""Write the JSON Schemas of all messages: `python -m sluice_contracts.schemas docs/schemas`."""

import argparse
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from sluice_contracts.problems import Problem
from sluice_contracts.requests import Command, RunRequest
from sluice_contracts.status import RefusalNotice, StatusEvent

__all__ = ["json_schemas"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schemas() -> dict[str, str]:
    """Return the text of each schema by file name."""
    models: dict[str, type[BaseModel]] = {
        "run-request": RunRequest,
        "command": Command,
        "status-event": StatusEvent,
        "refusal-notice": RefusalNotice,
        "problem": Problem,
    }
    return {f"{name}.json": _text(model) for name, model in models.items()}


def _text(model: type[BaseModel]) -> str:
    # Outgoing messages always have every member; incoming ones may omit members with a default.
    mode: Any = "validation" if model in (RunRequest, Command) else "serialization"
    schema = {"$schema": _DIALECT, **model.model_json_schema(mode=mode)}
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
