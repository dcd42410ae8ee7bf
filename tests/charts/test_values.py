"""values.yaml, its schema and the README say the same, and Helm refuses what makes no sense."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from scripts.chart_docs import (
    CHARTS,
    Value,
    described_readme,
    described_schema,
    readme_of,
    schema_of,
    values_of,
)
from tests.charts.refusals import REFUSED
from tests.charts.rendering import CHART, Helm

STALE = "run `make chart`"
# A service takes all of `defaults` as well.
SERVICES = {CHART: ("gateway", "dispatcher", "statusWatcher", "logRelay")}
# Each reference to `pod` closes it, together with its own properties.
CLOSED_ELSEWHERE = {CHART: ["/$defs/pod"]}

Schema = dict[str, Any]

each_chart = pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)


def schema(chart: Path) -> Schema:
    found: Schema = json.loads(schema_of(chart).read_text(encoding="utf-8"))
    return found


def values(chart: Path) -> list[Value]:
    return values_of((chart / "values.yaml").read_text(encoding="utf-8"))


@each_chart
def test_the_schema_is_one(chart: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(chart))


@each_chart
def test_every_value_is_described_and_known_to_the_schema(chart: Path) -> None:
    assert len(values(chart)) > 20
    assert described_schema(schema(chart), values(chart)) == schema(chart), STALE


@each_chart
def test_the_readme_is_fresh(chart: Path) -> None:
    text = readme_of(chart).read_text(encoding="utf-8")
    assert described_readme(text, values(chart)) == text, STALE


def test_a_value_without_description_is_noticed() -> None:
    with pytest.raises(ValueError, match=r"a\.b is not described"):
        values_of("a:\n  b: 1\n")
    with pytest.raises(ValueError, match="does not know oops"):
        described_schema({"properties": {}}, values_of("# -- It.\noops: 1\n"))


@each_chart
def test_the_schema_knows_no_value_that_is_not_there(chart: Path) -> None:
    """What is described as a whole has its parts."""
    described = {value.path for value in values(chart)}
    common = {path[1:] for path in described if path[0] == "defaults"}
    described |= {(service, *path) for service in SERVICES.get(chart, ()) for path in common}
    missing = [
        ".".join(path)
        for path in known(schema(chart), schema(chart))
        if not any(path[: len(value)] == value or value[: len(path)] == path for value in described)
    ]
    assert missing == ["global"]


def known(root: Schema, node: Schema, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Give all paths of a schema."""
    if "$ref" in node:
        yield from known(root, root["$defs"][node["$ref"].rpartition("/")[2]], path)
    for part in node.get("allOf", []):
        yield from known(root, part, path)
    for name, below in node.get("properties", {}).items():
        yield (*path, name)
        yield from known(root, below, (*path, name))


@each_chart
def test_every_object_is_closed_but_what_is_kubernetes_own(chart: Path) -> None:
    def opened(node: Any, place: str) -> Iterator[str]:
        if not isinstance(node, dict):
            return
        closed = {"additionalProperties", "unevaluatedProperties"} & node.keys()
        if node.get("type") == "object" and "properties" in node and not closed:
            yield place
        for name, below in node.items():
            if name not in {"if", "then", "not", "anyOf"}:
                yield from opened(below, f"{place}/{name}")

    assert list(opened(schema(chart), "")) == CLOSED_ELSEWHERE.get(chart, [])


@pytest.mark.charts
@pytest.mark.parametrize(
    ("chart", "nonsense"), [(chart, given) for chart in CHARTS for given in REFUSED[chart]]
)
def test_nonsense_is_refused_where_it_is(
    helm: Helm, tmp_path: Path, chart: Path, nonsense: str
) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(nonsense, encoding="utf-8")
    assert yaml.safe_load(nonsense)
    done = helm.template(file, chart)
    assert done.returncode != 0
    assert REFUSED[chart][nonsense] in done.stderr
