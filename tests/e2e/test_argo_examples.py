"""Argo's own example files, as entries that the importer made, end as they do without Sluice.

Each runs twice on the same cluster: through Sluice, by its template and catalogue entry, and
directly, as a Workflow. The local engine runs those whose fields it supports. Afterwards the table
is in `.data/argo-examples-<engine>.md`.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice_contracts.graphs import PlannedGraph
from sluice_engine.controller.errors import TemplateError
from sluice_engine.controller.supported import check_supported
from sluice_runtime.deadlines import Deadline
from sluice_workflows.template_import import ImportedTemplate, import_template
from testbed.cluster.namespaces import EXECUTOR
from testbed.errors import TestbedError
from testbed.kubectl import Kubectl
from testbed.versions import load_versions
from tests.support.argo_examples import IMAGES, Example, examples, examples_folder
from tests.support.engines import Engine, skip
from tests.support.kafka import KafkaServer, unique_name
from tests.support.planned import unplanned
from tests.support.sluice import Sluice, running_sluice

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.examples,
    pytest.mark.timeout(900),
]

Json = dict[str, Any]

_AT_ONCE = 6
_SECONDS = 120
_NO_END = "no end"
_GROUPS = {"StepGroup", "TaskGroup"}
_PARENTS = {"Steps", "DAG", "Retry"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """What became of an example, both ways."""

    example: Example
    through: str
    direct: str
    differences: tuple[str, ...]

    def __str__(self) -> str:
        """Return the row of a table in Markdown."""
        note = "; ".join(self.differences) or "none"
        return f"| `{self.example.file}` | {self.through} | {self.direct} | {note} |"


@pytest.fixture(scope="module")
def chosen(engine: Engine) -> list[Example]:
    """The examples of this line of Argo that the testbed can run."""
    try:
        found = list(examples(examples_folder(line_of(engine))))
    except TestbedError as e:
        skip(f"no module of Argo, which Go fetches: {e}")
    return [one for one in found if is_supported(one)] if engine.is_local else found


@pytest.fixture(scope="module")
def entries(chosen: list[Example]) -> dict[str, ImportedTemplate]:
    """What the importer makes of each, by name."""
    return {
        example.name: import_template(
            example.manifest | {"metadata": example.manifest["metadata"] | {"name": example.name}}
        )
        for example in chosen
    }


@pytest.fixture(scope="module")
def sluice(
    kafka: KafkaServer,
    engine: Engine,
    entries: dict[str, ImportedTemplate],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Sluice]:
    """A Sluice with all of them."""
    folder = tmp_path_factory.mktemp("examples")
    catalogue = folder / "catalogue.yaml"
    catalogue.write_text(yaml.safe_dump({"entries": [one.entry for one in entries.values()]}))
    setting = {"SLUICE_WORKFLOWS__CATALOGUE_FILE": str(catalogue)}
    environment = {"gateway": setting, "dispatcher": setting}
    with running_sluice(kafka, folder, engine=engine, environment=environment) as running:
        if not engine.is_local:
            relax(running)
        templates = folder / "templates.yaml"
        templates.write_text(yaml.safe_dump_all(one.template for one in entries.values()))
        running.apply(templates)
        yield running


def line_of(engine: Engine) -> str:
    """Return the line of Argo whose examples an engine runs: the local one follows the newest."""
    return load_versions().argo_lines[0] if engine.is_local else engine.line


def is_supported(example: Example) -> bool:
    try:
        check_supported(example.manifest["spec"])
    except TemplateError:
        return False
    return True


def relax(sluice: Sluice) -> None:
    """Make the namespace one as the examples expect it: without policy, with their images."""
    engine, here = sluice.engine, in_namespace(sluice)
    label = "pod-security.kubernetes.io/enforce=privileged"
    engine.cluster.kubectl()("label", "namespace", sluice.namespace, label, "--overwrite")
    account = f"--serviceaccount={sluice.namespace}:default"
    here("create", "rolebinding", "examples", f"--role={EXECUTOR}", account)
    settings = examples_folder(engine.line) / "configmaps/simple-parameters-configmap.yaml"
    here("apply", "-f", settings)
    for name, image in IMAGES.items():
        if ":" in name:
            engine.cluster.tag_image(image, f"docker.io/library/{name}")


async def test_each_ends_as_it_does_without_sluice(
    sluice: Sluice,
    chosen: list[Example],
    entries: dict[str, ImportedTemplate],
) -> None:
    places = asyncio.Semaphore(_AT_ONCE)

    async def both_ways(example: Example) -> Row:
        async with places:
            through, direct = await asyncio.gather(
                through_sluice(sluice, example.name), run_directly(sluice, example)
            )
        graph = entries[example.name].entry.get("graph")
        return compared(example, through, direct, graph=graph)

    rows = await asyncio.gather(*map(both_ways, chosen))
    write_table(rows, engine=sluice.engine.name)
    assert len(rows) >= (30 if sluice.engine.is_local else 60)
    assert [str(row) for row in rows if row.differences] == []


def in_namespace(sluice: Sluice) -> Kubectl:
    return sluice.engine.cluster.kubectl().within(sluice.namespace)


async def through_sluice(sluice: Sluice, name: str) -> Json | None:
    """Return the outcome of the entry's run; None if it did not end in time."""
    async with sluice.client() as client:
        run_id = await client.accepted({"id": unique_name("example"), "workflow": name})
        try:
            async with asyncio.timeout(_SECONDS):
                return (await client.events(run_id))[-1]
        except TimeoutError:
            return None


async def run_directly(sluice: Sluice, example: Example) -> Json | None:
    """Return the status of the Workflow; None if it did not end in time."""
    metadata = {**example.manifest["metadata"], "name": unique_name("direct")}
    metadata.pop("generateName", None)
    manifest = {**example.manifest, "metadata": metadata}
    if sluice.engine.is_local:
        return await run_locally(sluice, manifest)
    return await asyncio.to_thread(run_in_cluster, in_namespace(sluice), manifest)


async def run_locally(sluice: Sluice, manifest: Json) -> Json | None:
    path = f"/apis/argoproj.io/v1alpha1/namespaces/{sluice.namespace}/workflows"
    deadline = Deadline("Running an example", timedelta(seconds=_SECONDS))
    name = manifest["metadata"]["name"]
    async with sluice.kubernetes() as client:
        await client.call("POST", path, body=manifest, deadline=deadline)
        await client.call("GET", "/local/quiet", deadline=deadline)
        found = await client.call("GET", f"{path}/{name}", deadline=deadline)
    status: Json = found["status"] | {"name": name}
    return status if status.get("finishedAt") else None


def run_in_cluster(kubectl: Kubectl, manifest: Json) -> Json | None:
    name = manifest["metadata"]["name"]
    kubectl.apply([manifest])
    try:
        kubectl(
            "wait",
            f"workflow/{name}",
            r"--for=jsonpath={.metadata.labels.workflows\.argoproj\.io/completed}=true",
            f"--timeout={_SECONDS}s",
        )
    except TestbedError:
        return None
    status: Json = kubectl.get(f"workflow/{name}")["status"] | {"name": name}
    return status


def compared(
    example: Example, through: Json | None, direct: Json | None, *, graph: Json | None
) -> Row:
    """Compare phases, the steps if they do not depend on chance, and the graph with the steps."""
    differences = []
    phases = [_NO_END if one is None else str(one["phase"]) for one in (through, direct)]
    if phases[0] != phases[1]:
        differences.append("another end")
    if through is not None and direct is not None and not example.is_random:
        ours, theirs = steps_through(through), steps_directly(direct)
        if ours != theirs:
            differences.append(f"other steps: {sorted(ours - theirs)}, {sorted(theirs - ours)}")
    if through is not None and graph is not None:
        missing = unplanned(through, PlannedGraph.model_validate(graph))
        differences += [f"not in the graph: {missing}"] if missing else []
    return Row(example=example, through=phases[0], direct=phases[1], differences=tuple(differences))


def steps_through(outcome: Json) -> Counter[tuple[str, str]]:
    """Count the types and phases of the steps of an event."""
    return Counter((step["type"], step["phase"]) for step in outcome["steps"])


def steps_directly(status: Json) -> Counter[tuple[str, str]]:
    """Count the same in a Workflow's status: groups are not steps, and neither is the root."""
    return Counter(
        (node["type"], node["phase"])
        for node_id, node in status["nodes"].items()
        if node["type"] not in _GROUPS
        and not (node_id == status["name"] and node["type"] in _PARENTS)
    )


def write_table(rows: list[Row], *, engine: str) -> None:
    head = "| example | through Sluice | directly | difference |"
    file = Path(f".data/argo-examples-{engine}.md")
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join([head, "| --- | --- | --- | --- |", *map(str, rows)]) + "\n", "utf-8")
