"""The documents that are made of the models are fresh, valid, and describe real messages."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import openapi_spec_validator
import pytest
from pydantic import BaseModel

from scripts.api_documents import documents
from sluice_contracts.graphs import PlannedGraph, PlannedStep
from sluice_contracts.problems import ProblemType, problem
from sluice_contracts.requests import (
    COMMANDS,
    ResumeCommand,
    RetryCommand,
    RunRequest,
    read_request,
)
from sluice_contracts.schemas import INCOMING, json_schemas, main
from sluice_contracts.status import Phase

from .contracts.messages import refusal, status_event

DOCS = Path(__file__).parents[2] / "docs"
FOLDER = DOCS / "schemas"
STALE = "run `make schemas`"


def test_there_is_a_file_for_each_schema_and_no_other() -> None:
    assert {file.name for file in FOLDER.glob("*.json")} == set(json_schemas()), STALE


@pytest.mark.parametrize(("name", "text"), documents(DOCS).items())
def test_the_documents_of_both_apis_are_fresh(name: str, text: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == text, "run `make schemas`"


def test_the_openapi_document_is_valid() -> None:
    openapi_spec_validator.validate(json.loads(documents(DOCS)["openapi.json"]))


@pytest.mark.parametrize("name", sorted(json_schemas()))
def test_the_schema_is_fresh(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == json_schemas()[name], STALE


def test_the_command_writes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "schemas"
    monkeypatch.setattr("sys.argv", ["schemas", str(folder)])
    main()
    written = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}
    assert written == json_schemas()
    assert capsys.readouterr().out.count("wrote ") == len(written)


def _schema(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(json_schemas()[f"{name}.json"])
    jsonschema.Draft202012Validator.check_schema(schema)
    return schema


_MESSAGES: list[tuple[str, BaseModel]] = [
    ("run-request", RunRequest(workflow="hello")),
    ("problem", problem(ProblemType.INTERNAL, "Oops.")),
    ("refusal-notice", refusal()),
    ("planned-graph", PlannedGraph(steps=(PlannedStep(id="a", name="a", kind="Pod"),))),
    *(("command", read_request({"type": command, "id": "a"})) for command in COMMANDS),
    ("command", ResumeCommand(id="a", step="approve", values={"approve": "YES"}, reason="Fine")),
    ("command", RetryCommand(id="a", step="count", restart_succeeded=True)),
    *(("status-event", status_event(phase)) for phase in Phase),
]


@pytest.mark.parametrize(("name", "message"), _MESSAGES)
def test_real_messages_fit_their_schemas(name: str, message: BaseModel) -> None:
    document = message.model_dump(mode="json")
    validator = jsonschema.Draft202012Validator(_schema(name))
    validator.validate(document)
    # A consumer ignores what it does not know; what Sluice reads must not have more.
    assert validator.is_valid(document | {"unknown": 1}) == (name not in INCOMING)


def test_the_shortest_request_fits() -> None:
    jsonschema.validate({"workflow": "hello"}, _schema("run-request"))
