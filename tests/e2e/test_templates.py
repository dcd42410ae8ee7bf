"""WorkflowTemplates that exist already run through Sluice, with nothing but a catalogue file."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice_contracts.graphs import PlannedGraph
from sluice_workflows.builtin import BUILT_IN
from sluice_workflows.template_import import import_template
from tests.support.engines import Engine
from tests.support.kafka import KafkaServer, unique_name
from tests.support.planned import unplanned
from tests.support.sluice import Sluice, running_sluice

pytestmark = pytest.mark.e2e

EXAMPLES = Path("examples/templates")
CATALOGUE = {"SLUICE_WORKFLOWS__CATALOGUE_FILE": str((EXAMPLES / "catalogue.yaml").resolve())}
README = (EXAMPLES / "README.md").read_text(encoding="utf-8")
REQUESTS = {
    request["id"]: request
    for request in map(json.loads, re.findall(r"-d '(\{.*?\})'", README, re.DOTALL))
}

GRAPHS = {
    file.stem: PlannedGraph.model_validate(
        import_template(yaml.safe_load(file.read_bytes())).entry["graph"]
    )
    for file in EXAMPLES.glob("*.yaml")
    if file.stem != "catalogue"
} | {entry.name: entry.graph for entry in BUILT_IN if entry.graph is not None}

Json = dict[str, Any]


@pytest.fixture(scope="module")
def sluice(
    kafka: KafkaServer, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sluice]:
    """A Sluice with the examples' catalogue and templates."""
    folder = tmp_path_factory.mktemp("templates")
    environment = {"gateway": CATALOGUE, "dispatcher": CATALOGUE}
    with running_sluice(kafka, folder, engine=engine, environment=environment) as running:
        entries = yaml.safe_load((EXAMPLES / "catalogue.yaml").read_bytes())["entries"]
        for entry in entries:
            running.apply(EXAMPLES / f"{entry['template']['name']}.yaml")
        yield running


async def outcome_of(sluice: Sluice, request: Json) -> Json:
    """Carry a request through under an id of the test's own; all its steps must be planned."""
    async with sluice.client() as client:
        outcome = await client.outcome({**request, "id": unique_name("template")})
    assert unplanned(outcome, GRAPHS[request["workflow"]]) == []
    return outcome


def steps_of(outcome: Json) -> set[tuple[str, str, str, str]]:
    """Give name, template, type and phase of each step; the exit handler's name is its suffix."""
    return {
        (step["name"].rpartition(".")[2], step["template"], step["type"], step["phase"])
        for step in outcome["steps"]
    }


def pods(*names: str) -> set[tuple[str, str, str, str]]:
    """Say what steps are in whose own templates pods succeeded."""
    return {(name, name, "Pod", "Succeeded") for name in names}


HANDLER = {("onExit", "when-done", "Steps", "Succeeded")}
NOT_NEEDED = {("find-bad-lines", "find-bad-lines", "Skipped", "Skipped")}


async def test_a_dag_hands_artifacts_on(sluice: Sluice) -> None:
    outcome = await outcome_of(sluice, REQUESTS["report-1"])
    assert outcome["phase"] == "Succeeded", outcome
    report = (
        "# Week 12\n\nRevenue: 31.00 EUR\n"
        "\n## Regions\n\n1. North: 19.00\n2. South: 12.00\n"
        "\n## Products\n\n1. Coffee: 24.00\n2. Tea: 7.00"
    )
    assert outcome["outputs"] == {"report": report, "revenue": "31.00", "skipped": "1"}
    sums = {(name, "add-up", "Pod", "Succeeded") for name in ("by-region", "by-product")}
    assert steps_of(outcome) == pods("clean", "report") | sums


async def test_a_list_becomes_steps(sluice: Sluice) -> None:
    outcome = await outcome_of(sluice, REQUESTS["letters-1"])
    assert outcome["phase"] == "Succeeded", outcome
    sample = "Dear Ada,\n\nyour order 4711 is on its way."
    assert outcome["outputs"] == {"letters": "3", "sample": sample}
    parts = {
        (f"render({part})", "render", "Pod", "Succeeded")
        for part in ("0:first:0,last:1", "1:first:2,last:2")
    }
    assert steps_of(outcome) == pods("plan", "collect") | parts


async def test_an_exit_handler_follows_a_success(sluice: Sluice) -> None:
    outcome = await outcome_of(sluice, REQUESTS["prices-1"])
    assert outcome["phase"] == "Succeeded", outcome
    assert outcome["outputs"] == {"published": "2", "notice": "The import ended as Succeeded."}
    assert steps_of(outcome) == pods("check", "publish", "notify") | HANDLER | NOT_NEEDED


async def test_an_exit_handler_follows_a_failure(sluice: Sluice) -> None:
    outcome = await outcome_of(sluice, REQUESTS["prices-2"])
    assert outcome["phase"] == "Failed", outcome
    notice = "The import ended as Failed at check (main: Error (exit code 1))."
    assert outcome["outputs"] == {"notice": notice, "bad-lines": "[2]"}
    checked = {("check", "check", "Pod", "Failed")}
    assert steps_of(outcome) == checked | pods("notify", "find-bad-lines") | HANDLER


async def test_a_step_that_is_not_wanted_is_skipped(sluice: Sluice) -> None:
    parameters = {**REQUESTS["prices-2"]["parameters"], "tolerated": 1, "dry-run": True}
    outcome = await outcome_of(sluice, {**REQUESTS["prices-2"], "parameters": parameters})
    assert outcome["phase"] == "Succeeded", outcome
    assert outcome["outputs"] == {"notice": "The import ended as Succeeded."}
    skipped = {("publish", "publish", "Skipped", "Skipped")}
    assert steps_of(outcome) == pods("check", "notify") | skipped | HANDLER | NOT_NEEDED


@pytest.mark.parametrize(
    ("workflow", "parameters"),
    [("diamond", {}), ("map-reduce", {"text": "a b a", "workers": 2}), ("hello", {"name": "Ada"})],
)
async def test_a_built_in_workflow_has_the_steps_that_were_planned(
    sluice: Sluice, workflow: str, parameters: Json
) -> None:
    outcome = await outcome_of(sluice, {"workflow": workflow, "parameters": parameters})
    planned = {step.name for step in GRAPHS[workflow].steps}
    assert {step["name"].partition("(")[0] for step in outcome["steps"]} == planned


async def test_texts_stay_texts(sluice: Sluice) -> None:
    nasty = "{{workflow.name}} {{=1+1}} $(id) `id` ' \\ 😀"
    title = "\"quotes\" 'and' $HOME {single} \\ 😀"
    orders = f'region,product,quantity,price\n"{nasty}",{nasty},1,1.00\n'
    report, letters = await asyncio.gather(
        outcome_of(
            sluice,
            {"workflow": "sales-report", "parameters": {"orders": orders, "title": title}},
        ),
        outcome_of(
            sluice,
            {
                "workflow": "mail-merge",
                "parameters": {"recipients": f"name\n{nasty}\n", "letter": f"$name\n{nasty}\n\n"},
            },
        ),
    )
    regions, products = (f"\n## {of}\n\n1. {nasty}: 1.00" for of in ("Regions", "Products"))
    text = f"# {title}\n\nRevenue: 1.00 EUR\n{regions}\n{products}"
    assert report["outputs"] == {"report": text, "revenue": "1.00", "skipped": "0"}
    # In a letter, `$(` is not a placeholder and stays as well.
    assert letters["outputs"] == {"letters": "1", "sample": f"{nasty}\n{nasty}\n\n"}
