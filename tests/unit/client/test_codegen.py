"""Modules that are written from a catalogue: they are typed, and start what they say."""

import importlib.util
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sluice_client.codegen import generate
from sluice_client.fake import FakeSluice
from sluice_contracts.http_documents import WorkflowDocument
from sluice_workflows.catalogue import load_catalogue

ROOT = Path(__file__).parents[3]


def entry(
    name: str, properties: Mapping[str, Any] | None = None, *required: str, description: str = ""
) -> WorkflowDocument:
    schema = {"type": "object", "properties": dict(properties or {}), "required": list(required)}
    document = {"name": name, "description": description, "parameters": schema}
    return WorkflowDocument.model_validate({**document, "links": {"self": "/"}})


def built_in() -> list[WorkflowDocument]:
    catalogue = load_catalogue(file=None, entry_points=entry_points(group="sluice.workflows"))
    return [
        WorkflowDocument.model_validate(
            {
                "name": each.name,
                "description": each.description,
                "parameters": dict(each.parameter_schema()),
                "links": {"self": "/"},
            }
        )
        for each in catalogue
    ]


HOSTILE = entry(
    'a"b\\n-"""-\x00',
    {'"""': {"type": "string", "description": '"""\nimport os\x00\\'}, "class": True},
    "class",
    description='"""\nraise SystemExit\n\\',
)


def module_of(text: str, folder: Path) -> ModuleType:
    file = folder / "workflows_of_the_test.py"
    file.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_the_functions_start_the_workflows(tmp_path: Path) -> None:
    module = module_of(generate(built_in()), tmp_path)
    async with FakeSluice() as sluice:
        run = await module.map_reduce(sluice, {"text": "a b a", "workers": 3}, id="order-1")
        [request] = sluice.requests
    assert (run.id, request.workflow) == ("order-1", "map-reduce")
    assert request.parameters == {"text": "a b a", "workers": 3}
    assert module.map_reduce.__doc__.startswith("Counts the words of a text")


async def test_no_text_of_a_catalogue_is_executed(tmp_path: Path) -> None:
    module = module_of(generate([HOSTILE]), tmp_path)
    [name] = [each for each in module.__all__ if not each.endswith("Parameters")]
    async with FakeSluice() as sluice:
        await getattr(module, name)(sluice, {"class": 1, '"""': "x"})
        assert [each.workflow for each in sluice.requests] == [HOSTILE.name]


@pytest.mark.parametrize(
    ("schema", "annotation"),
    [
        ({"type": "string"}, "str"),
        ({"type": "integer"}, "int"),
        ({"type": "number"}, "float"),
        ({"type": "boolean"}, "bool"),
        ({"type": ["string", "null"]}, "str | None"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "int | None"),
        ({"enum": ["a", "b", 3, None]}, 'Literal["a", "b", 3, None]'),
        ({"const": "a"}, 'Literal["a"]'),
        ({"enum": [1.5]}, "Any"),
        ({"type": "array", "items": {"type": "integer"}}, "list[int]"),
        ({"type": "object"}, "Mapping[str, Any]"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "Mapping[str, str]"),
        ({}, "Any"),
        (True, "Any"),
    ],
)
def test_each_schema_has_its_annotation(schema: Any, annotation: str) -> None:
    text = generate([entry("w", {"a": schema}, "a")])
    assert f'        "a": {annotation},\n' in text


def test_a_name_that_python_reserves_is_changed() -> None:
    text = generate([entry("import"), entry("3-steps")])
    assert "async def run_import(" in text
    assert "async def run_3_steps(" in text


def test_two_workflows_with_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'a-b' and 'a_b' would both be 'a_b'"):
        generate([entry("a_b"), entry("a-b")])


@pytest.mark.timeout(300)
def test_what_is_written_passes_mypy(tmp_path: Path) -> None:
    (tmp_path / "workflows.py").write_text(generate([*built_in(), HOSTILE]), encoding="utf-8")
    (tmp_path / "use.py").write_text(
        """
from sluice_client import Run, Sluice
from sluice_client.kafka import KafkaRun, KafkaSluice

from workflows import hello, map_reduce


async def right(sluice: Sluice, kafka: KafkaSluice) -> tuple[Run, KafkaRun]:
    run = await map_reduce(sluice, {"text": "a b a", "workers": 3}, id="1", labels={"a": "b"})
    return run, await hello(kafka)


async def wrong(sluice: Sluice) -> None:
    await map_reduce(sluice, {"workers": 3})
    await map_reduce(sluice, {"text": 3})
    await map_reduce(sluice, {"text": "a", "words": 3})
    await map_reduce(sluice)
    await hello(sluice, key="1")
""",
        encoding="utf-8",
    )
    checked = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict"),
            # Those of the client are for the checks of this repository.
            *("--follow-imports=silent", "workflows.py", "use.py"),
        ],
        cwd=tmp_path,
        env={
            "MYPYPATH": f"{ROOT / 'libs/client/src'}:{ROOT / 'libs/contracts/src'}:{tmp_path}",
            "PATH": "",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    wrong = [line for line in checked.stdout.splitlines() if ": error:" in line]
    assert {line.split(":")[0] for line in wrong} == {"use.py"}, checked.stdout + checked.stderr
    assert sorted({int(line.split(":")[1]) for line in wrong}) == [14, 15, 16, 17, 18]
