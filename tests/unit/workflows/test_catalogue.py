import json
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from sluice_workflows.builtin import BUILT_IN
from sluice_workflows.catalogue import ENTRY_POINT_GROUP, Catalogue, load_catalogue
from sluice_workflows.catalogue_file import read_catalogue_file
from sluice_workflows.compiler import compile_entry
from sluice_workflows.entries import Concurrency, TemplateRef
from sluice_workflows.errors import CatalogueError, InvalidParametersError, UnknownWorkflowError
from tests.unit.workflows.support import SETTINGS, entry_of, one_step

EXAMPLES = Path(__file__).parents[3] / "examples" / "catalogue"


def point(value: str, name: str = "tried") -> EntryPoint:
    return EntryPoint(name=name, value=value, group=ENTRY_POINT_GROUP)


def written(folder: Path, text: str) -> Path:
    file = folder / "catalogue.yaml"
    file.write_text(text, encoding="utf-8")
    return file


# --- looking up


def test_entries_keep_their_order() -> None:
    catalogue = Catalogue(BUILT_IN)

    assert [entry.name for entry in catalogue] == [entry.name for entry in BUILT_IN]
    assert len(catalogue) == len(BUILT_IN)
    assert catalogue.get("map-reduce") is BUILT_IN[2]


def test_an_unknown_name_lists_the_known_names() -> None:
    with pytest.raises(UnknownWorkflowError) as refused:
        Catalogue(BUILT_IN).get("map-reduc")

    assert refused.value.near == ("map-reduce",)
    assert str(refused.value) == (
        "There is no workflow `map-reduc`. Did you mean `map-reduce`? The catalogue has: "
        "`hello`, `artifact-passing`, `map-reduce`, `diamond`, `approval`."
    )


def test_an_unknown_name_may_be_hostile() -> None:
    with pytest.raises(UnknownWorkflowError) as refused:
        Catalogue([]).get("\ud800\n" * 100_000)

    assert str(refused.value).isascii()
    assert len(str(refused.value)) < 1000
    assert "has: nothing" in str(refused.value)


def test_parameters_are_kept_unless_they_are_private_or_the_workflow_is_unknown() -> None:
    private = replace(BUILT_IN[0], name="private", private_parameters=True)
    catalogue = Catalogue([BUILT_IN[0], private])

    assert catalogue.keeps_parameters("hello")
    assert not catalogue.keeps_parameters("private")
    assert not catalogue.keeps_parameters("no-such-workflow")


def test_names_are_unique() -> None:
    with pytest.raises(CatalogueError, match="two workflows named `hello`"):
        Catalogue([BUILT_IN[0], entry_of(one_step, name="hello")])


# --- entry points


def two() -> list[object]:
    return [entry_of(one_step, name="first"), entry_of(one_step, name="second")]


ONE = entry_of(one_step, name="one")


def nothing_useful() -> list[object]:
    return ["text"]


def badly_defined() -> list[object]:
    return [entry_of(one_step, name="Not A Name")]


def test_entry_points_provide_one_or_several_entries() -> None:
    here = __name__
    points = [point(f"{here}:two", name="b"), point(f"{here}:ONE", name="a")]

    catalogue = load_catalogue(file=None, entry_points=points)

    names = [entry.name for entry in catalogue]
    assert names[len(BUILT_IN) :] == ["one", "first", "second"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("no_such_package:entries", r"provides no entries \(ModuleNotFoundError"),
        ("json:nothing", r"provides no entries \(AttributeError"),
        ("json:decoder", r"provides no entries \(TypeError"),
        (f"{__name__}:nothing_useful", "provides a str instead of an Entry"),
        (f"{__name__}:badly_defined", "is not a valid name of a workflow"),
    ],
)
def test_an_entry_point_without_entries_is_named(value: str, message: str) -> None:
    with pytest.raises(CatalogueError, match=message) as refused:
        load_catalogue(file=None, entry_points=[point(value)])

    assert f"entry point `tried = {value}` of sluice.workflows" in str(refused.value)


def test_a_name_in_two_sources_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, "entries: [{name: hello, description: d, template: {name: t}}]")

    with pytest.raises(CatalogueError, match=r"two workflows named `hello`.*catalogue\.yaml"):
        load_catalogue(file=file, entry_points=[])


# --- the file


def test_the_examples_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES / "shouting" / "src")

    catalogue = load_catalogue(
        file=EXAMPLES / "catalogue.yaml", entry_points=[point("sluice_shouting:entries")]
    )

    assert [entry.name for entry in catalogue][-3:] == ["shout", "nightly-report", "cleanup"]
    assert compile_entry(catalogue.get("shout"), settings=SETTINGS).parameters == (
        "message",
        "mood",
    )
    report = catalogue.get("nightly-report")
    assert report.arguments({"day": "2026-12-01"}) == {
        "day": "2026-12-01",
        "recipients": "100",
        "dry-run": "false",
        "format": "pdf",
        "greeting": "R29vZCBtb3JuaW5n",
    }
    cleanup = compile_entry(catalogue.get("cleanup"), settings=SETTINGS)
    assert json.loads(cleanup.manifest)["spec"]["workflowTemplateRef"] == {
        "name": "cleanup",
        "clusterScope": True,
    }


def test_the_example_package_has_the_tested_entry_point() -> None:
    text = (EXAMPLES / "shouting" / "pyproject.toml").read_text(encoding="utf-8")

    assert '[project.entry-points."sluice.workflows"]\nshouting = "sluice_shouting:entries"' in text


@pytest.mark.parametrize(
    ("parameters", "place"),
    [
        ({}, "/parameters/day"),
        ({"day": "1 Dec"}, "/parameters/day"),
        ({"day": "2026-12-01", "recipients": 0}, "/parameters/recipients"),
        ({"day": "2026-12-01", "recipients": 10_001}, "/parameters/recipients"),
        ({"day": "2026-12-01", "dry-run": "yes"}, "/parameters/dry-run"),
        ({"day": "2026-12-01", "format": "doc"}, "/parameters/format"),
        ({"day": "2026-12-01", "greeting": "x" * 4097}, "/parameters/greeting"),
        ({"day": "2026-12-01", "parameter_0": "x"}, "/parameters/parameter_0"),
    ],
)
def test_declarations_of_the_file_are_enforced(parameters: dict[str, Any], place: str) -> None:
    report = read_catalogue_file(EXAMPLES / "catalogue.yaml")[0]

    with pytest.raises(InvalidParametersError) as refused:
        report.arguments(parameters)
    assert [error.pointer for error in refused.value.errors] == [place]


def test_the_schema_of_a_file_entry() -> None:
    schema = read_catalogue_file(EXAMPLES / "catalogue.yaml")[0].parameter_schema()

    properties: Any = schema["properties"]
    assert list(properties) == ["day", "recipients", "dry-run", "format", "greeting"]
    assert properties["day"]["pattern"] == r"^(?:\d{4}-\d{2}-\d{2})$"
    assert schema["required"] == ["day"]


def test_a_string_of_several_lines(tmp_path: Path) -> None:
    parameter = '{name: p, type: string, multiline: true, default: "a\\n\\tb"}'
    _, entry = read_catalogue_file(written(tmp_path, entry_text(parameter)))

    assert entry.arguments({}) == {"p": "a\n\tb"}
    assert entry.arguments({"p": "one\ntwo\n"}) == {"p": "one\ntwo\n"}
    properties: Any = entry.parameter_schema()["properties"]
    assert properties["p"]["description"] == "At most 4096 bytes as UTF-8."


def entry_text(parameters: str) -> str:
    return (
        "entries:\n"
        "- {name: a, description: d, template: {name: a}}\n"
        f"- {{name: b, description: d, template: {{name: b}}, parameters: [{parameters}]}}\n"
    )


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("{name: p}", "entries[1].parameters[0]: Unable to extract tag"),
        ("{name: p, type: float}", "entries[1].parameters[0]: Input tag 'float'"),
        ("{name: p, type: integer, max: x}", "entries[1].parameters[0].max: Input should be"),
        ("{name: p, type: integer, max: 1.0}", "entries[1].parameters[0].max: Input should be"),
        ("{name: p, type: integer, min: 2, max: 1}", "parameters[0]: min is greater"),
        ("{name: p, type: integer, max: 9007199254740992}", "parameters[0].max: Input should be"),
        ("{name: p, type: integer, maximum: 3}", "parameters[0].maximum: is not a known field"),
        ("{type: integer}", "entries[1].parameters[0].name: is missing"),
        ("{name: p, type: enum, values: []}", "entries[1].parameters[0].values: List should"),
        ("{name: p, type: enum, values: [yes]}", "entries[1].parameters[0].values[0]: Input"),
        ("{name: p, type: string, pattern: '('}", "entries[1].parameters[0].pattern: is not"),
        ("{name: p, type: string, default: '{{x}}'}", "parameters[0].default: must not contain"),
        ('{name: p, type: string, default: "a\\nb"}', "parameters[0].default: must not contain"),
        ("{name: p, type: text, multiline: true}", "multiline: is not a known field"),
        ("{name: p, type: integer, max: 1, default: 2}", "entries[1].parameters[0].default: Input"),
        ("{name: p, type: text, max_bytes: 0}", "entries[1].parameters[0].max_bytes: Input"),
        (
            "{name: p, type: text, max_bytes: 999999}",
            "entries[1]: workflow `b`: its parameters may",
        ),
        ("{name: a b, type: text}", "entries[1]: workflow `b`: parameter `a b`: Argo accepts"),
        (
            "{name: p, type: text}, {name: p, type: text}",
            "entries[1].parameters[1].name: `p` is declared twice",
        ),
    ],
)
def test_a_fault_is_reported_with_its_place(tmp_path: Path, parameters: str, message: str) -> None:
    file = written(tmp_path, entry_text(parameters))

    with pytest.raises(CatalogueError) as refused:
        read_catalogue_file(file)
    assert str(refused.value).startswith(f"{file}: ")
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "top level: Input should be"),
        ("[]", "top level: Input should be"),
        ("entries: 1", "entries: Input should be a valid list"),
        ("entries: [{}]", "entries[0].template: is missing"),
        ("entries: []\nentries: []", "the key `entries` is duplicated"),
        ("entries: [", "is not valid YAML for a catalogue"),
        ("? [a]\n: 1", "is not valid YAML for a catalogue"),
        ("entries: [{name: x, description: d, template: {name: A}}]", "name of a WorkflowTemplate"),
        ("\xff", "top level: Input should be"),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CatalogueError) as refused:
        read_catalogue_file(written(tmp_path, text))
    assert message in str(refused.value)


def test_all_faults_are_reported_together(tmp_path: Path) -> None:
    file = written(tmp_path, entry_text("{name: p, type: float}, {type: text}"))

    with pytest.raises(CatalogueError) as refused:
        read_catalogue_file(file)
    assert len(str(refused.value).splitlines()) == 2


def test_an_unreadable_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"catalogue\.yaml: cannot be read: No such file"):
        load_catalogue(file=tmp_path / "catalogue.yaml", entry_points=[])


def test_yaml_anchors_are_supported(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "entries:\n- &one {name: a, description: d, template: {name: t}}\n- {<<: *one, name: b}\n",
    )

    entries = read_catalogue_file(file)

    assert [entry.name for entry in entries] == ["a", "b"]
    assert entries[1].template == TemplateRef(name="t")


LIMITED = """
entries:
  - name: close
    description: Closes an account.
    template: {{name: close}}
    parameters: [{{name: account, type: string}}]
    concurrency: {given}
"""


def test_live_runs_of_a_key_are_limited_by_the_file(tmp_path: Path) -> None:
    given = "{key: /parameters/account, limit: 3, when_full: replace}"
    [entry] = read_catalogue_file(written(tmp_path, LIMITED.format(given=given)))
    assert entry.concurrency == Concurrency(key="/parameters/account", limit=3, when_full="replace")
    assert entry.concurrency.parameter == "account"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{key: account}", "must be the JSON Pointer of a parameter"),
        ("{key: /labels/account}", "must be the JSON Pointer of a parameter"),
        ("{key: /parameters/other}", "concurrency.key: it has no parameter `other`"),
        ("{key: /parameters/account, limit: 0}", "concurrency.limit: must be from 1 to 100"),
        ("{key: /parameters/account, when_full: drop}", "entries[0].concurrency.when_full: "),
        ("{}", "entries[0].concurrency.key: is missing"),
    ],
)
def test_a_limit_of_a_key_that_cannot_work_is_refused(
    tmp_path: Path, given: str, message: str
) -> None:
    with pytest.raises(CatalogueError) as refused:
        read_catalogue_file(written(tmp_path, LIMITED.format(given=given)))
    assert message in str(refused.value)
