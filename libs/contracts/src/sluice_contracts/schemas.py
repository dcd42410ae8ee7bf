"""Write the JSON Schemas of all messages: `python -m sluice_contracts.schemas docs/schemas`."""

import argparse
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import DictSchema, ModelSchema

from sluice_contracts.audit import AuditRecord
from sluice_contracts.controls import Control
from sluice_contracts.dead_letters import LetterDecision
from sluice_contracts.graphs import PlannedGraph
from sluice_contracts.notices import QueueNotice, RefusalNotice
from sluice_contracts.problems import Problem
from sluice_contracts.requests import ResumeCommand, RetryCommand, RunRequest, SimpleCommand
from sluice_contracts.status import StatusEvent

__all__ = ["INCOMING", "OUTGOING", "ContractSchema", "Mode", "as_text", "json_schemas"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"

Mode = Literal["validation", "serialization"]
"""Of what Sluice reads, and of what it writes."""

INCOMING: dict[str, Any] = {
    "run-request": RunRequest,
    "command": SimpleCommand | ResumeCommand | RetryCommand,
    "control": Control,
}
"""What Sluice reads, by the name of its schema. Members with a default may be omitted."""

OUTGOING: dict[str, Any] = {
    "status-event": StatusEvent,
    "refusal-notice": RefusalNotice,
    "queue-notice": QueueNotice,
    "audit-record": AuditRecord,
    "dead-letter-decision": LetterDecision,
    "problem": Problem,
    "planned-graph": PlannedGraph,
}
"""What Sluice writes, by the name of its schema."""


class ContractSchema(GenerateJsonSchema):
    """Makes schemas that stay true of later versions.

    A reader ignores members that it does not know, so what Sluice writes may get more of them. What
    Sluice reads may not have any, because the models forbid them.
    """

    def model_schema(self, schema: ModelSchema) -> JsonSchemaValue:
        """Return the schema of a model."""
        made = super().model_schema(schema)
        if self.mode == "serialization" and made.get("additionalProperties") is False:
            del made["additionalProperties"]
        return made

    def dict_schema(self, schema: DictSchema) -> JsonSchemaValue:
        """Return the schema of a mapping; names that break the pattern are refused."""
        made = super().dict_schema(schema)
        if self.mode == "validation" and "patternProperties" in made:
            made["additionalProperties"] = False
        return made


def json_schemas() -> dict[str, str]:
    """Return the text of each schema by file name."""
    schemas = {name: _schema(name, model, mode="validation") for name, model in INCOMING.items()}
    schemas |= {
        name: _schema(name, model, mode="serialization") for name, model in OUTGOING.items()
    }
    return {f"{name}.json": as_text(schema) for name, schema in schemas.items()}


def as_text(document: dict[str, Any]) -> str:
    """Return the text of a JSON file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _schema(name: str, model: Any, *, mode: Mode) -> dict[str, Any]:  # noqa: ANN401 - a model or a union of some
    schema = TypeAdapter(model).json_schema(mode=mode, schema_generator=ContractSchema)
    return {"$schema": _DIALECT, "$id": f"urn:sluice:schema:{name}:v1", **schema}


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
