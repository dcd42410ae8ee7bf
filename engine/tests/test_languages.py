"""Tags, expressions, fan-outs and names: pure functions."""

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_engine.controller.depends import Dag
from sluice_engine.controller.durations import parse_duration
from sluice_engine.controller.errors import TemplateError
from sluice_engine.controller.expand import expand
from sluice_engine.controller.expressions import evaluate_depends, evaluate_when
from sluice_engine.controller.names import display_name, node_id, pod_name, task_name
from sluice_engine.controller.packer import pack, unpack
from sluice_engine.controller.substitution import has_expression, substitute

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(TEXT, TEXT, TEXT)
def test_a_value_is_put_in_as_it_is(before: str, value: str, after: str) -> None:
    before, after = (text.replace("{", "").replace("}", "") for text in (before, after))
    found = substitute({"k": [f"{before}{{{{ a }}}}{after}"]}, {"a": value})
    assert found == {"k": [before + value + after]}


@settings(deadline=None)
@given(JSON)
def test_a_value_without_tags_stays_as_it_is(value: Any) -> None:
    assert substitute(value, {}) == value or "{{" in repr(value)


def test_tags_inside_of_values_stay_text() -> None:
    scope = {"inputs.parameters.a": "{{workflow.name}} {{=1+1}}", "workflow.name": "no"}
    assert substitute("{{inputs.parameters.a}}", scope) == "{{workflow.name}} {{=1+1}}"


def test_tags_of_others_stay() -> None:
    assert substitute("{{ x }} {{.Values.y}} {{item}}", {}) == "{{ x }} {{.Values.y}} {{item}}"


@pytest.mark.parametrize("tag", ["inputs.parameters.x", "tasks.a.outputs.result", "workflow.x"])
def test_tags_of_argo_must_have_a_value(tag: str) -> None:
    with pytest.raises(TemplateError, match="failed to resolve"):
        substitute(f"{{{{{tag}}}}}", {})


def test_expressions_are_refused_not_evaluated() -> None:
    assert has_expression({"a": ["x {{= 1 + 1 }}"]})
    assert not has_expression({"a": ["{{item}}", 1, None]})
    with pytest.raises(TemplateError, match="not supported by the local engine"):
        substitute("{{=1+1}}", {})


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("true", True),
        ("1 == 1", True),
        ("heads == heads", True),
        ("heads != 'tails'", True),
        ("\"a b\" == 'a b'", True),
        ("1 == '1'", False),
        ("2 > 10", False),
        ("'2' > '10'", True),
        ("1.5 <= 1.5 && 2 >= 3", False),
        ("1 == 2 || 2 == 2 && 3 == 3", True),
        ("(1 == 2 || 2 == 2) && 3 == 4", False),
        ("!(a == b)", True),
        ("!!true", True),
        ("-1 < 0", True),
        ("'it\\'s' == \"it's\"", True),
    ],
)
def test_when(expression: str, *, expected: bool) -> None:
    assert evaluate_when(expression) is expected


@pytest.mark.parametrize(
    "expression",
    ["", "a b", "a == ", "(a == b", "a", "1 < b", "__import__('os')", "a == b)", "1 + 1", "'a"],
)
def test_a_senseless_when_is_an_error(expression: str) -> None:
    with pytest.raises(TemplateError):
        evaluate_when(expression)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_when_gives_a_result_or_a_named_error(expression: str) -> None:
    with contextlib.suppress(TemplateError):
        assert isinstance(evaluate_when(expression), bool)


def test_a_when_nested_too_deeply_is_an_error() -> None:
    with pytest.raises(TemplateError, match="nested too deeply"):
        evaluate_when("(" * 5000 + "true" + ")" * 5000)


def test_depends_with_names_that_hold_dashes() -> None:
    dag = Dag([{"name": "a-1"}, {"name": "b"}, {"name": "c", "depends": "a-1 && !b.Failed"}])
    assert dag.dependencies("c") == ("a-1", "b")
    assert dag.logic("c") == ("(a-1.Succeeded || a-1.Skipped || a-1.Daemoned) && !b.Failed")
    results = {"a-1.Succeeded": False, "a-1.Skipped": True, "a-1.Daemoned": False}
    assert evaluate_depends(dag.logic("c"), results | {"b.Failed": False})
    assert not evaluate_depends(dag.logic("c"), results | {"b.Failed": True})
    assert dag.leaves() == ["c"]


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ([{"name": "a", "depends": "b"}], "depends on 'b', which does not exist"),
        ([{"name": "a", "dependencies": ["a"]}], "in a circle"),
        ([{"name": "a"}, {"name": "b", "depends": "a.Done"}], "task result 'Done'"),
    ],
)
def test_dags_that_are_none(tasks: Any, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        Dag(tasks)


@pytest.mark.parametrize(
    ("fan", "names"),
    [
        ({"withItems": ["a", "(b)", 3, True, 1.5]}, "a b 3 true 1.5"),
        ({"withParam": '["x"]'}, "x"),
        ({"withSequence": {"count": 3}}, "0 1 2"),
        ({"withSequence": {"count": "0"}}, ""),
        ({"withSequence": {"start": "2", "end": 4}}, "2 3 4"),
        ({"withSequence": {"start": 3, "end": "1"}}, "3 2 1"),
        ({"withSequence": {"count": 2, "format": "n%02X"}}, "n00 n01"),
        ({"withSequence": {"count": "{{n}}"}}, "0 1"),
    ],
)
def test_names_of_a_fan(fan: Any, names: str) -> None:
    found = expand({"name": "s", **fan}, {"n": "2"})
    assert [name for name, _ in found] == [
        f"s({number}:{item})" for number, item in enumerate(names.split())
    ]


def test_tags_of_a_map() -> None:
    [(name, tags)] = expand({"name": "s", "withItems": [{"b": "x", "a": {"c": 1}}]}, {})
    assert name == 's(0:a:{"c":1},b:x)'
    assert tags == {"item": '{"a":{"c":1},"b":"x"}', "item.a": '{"c":1}', "item.b": "x"}


@pytest.mark.parametrize(
    ("item", "name", "text"),
    [
        ('"x"\n', r"s(0:\"x\"\n)", '"x"\n'),
        (["(x)", None], "s(0:[x null])", '["(x)",null]'),
        (None, "s(0:[])", "null"),
    ],
)
def test_names_keep_what_json_escapes(item: Any, name: str, text: str) -> None:
    assert expand({"name": "s", "withItems": [item]}, {}) == [(name, {"item": text})]


def test_a_text_of_a_map_keeps_what_json_escapes() -> None:
    [(_, tags)] = expand({"name": "s", "withItems": [{"a": '"x"\n'}]}, {})
    assert tags["item.a"] == r"\"x\"\n"


@pytest.mark.parametrize(
    "fan",
    [
        {"withParam": "no list"},
        {"withParam": "{}"},
        {"withSequence": {}},
        {"withSequence": {"count": "x"}},
        {"withSequence": {"count": 1, "format": "%s"}},
        {"withSequence": {"count": 1, "format": "%d%d"}},
        {"withSequence": {"count": 10**9}},
    ],
)
def test_fans_that_make_no_sense(fan: Any) -> None:
    with pytest.raises(TemplateError):
        expand({"name": "s", **fan}, {})


@pytest.mark.parametrize(
    ("text", "seconds"), [("10", 10), ("1m30s", 90), ("2h", 7200), ("1d", 86400), ("500ms", 0.5)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "1 day", "-1s", "1s2"])
def test_durations_that_are_none(text: str) -> None:
    with pytest.raises(TemplateError):
        parse_duration(text)


@pytest.mark.parametrize(
    ("node", "number"),
    [("generate", 1457662774), ("one-will-fail(0:0)", 1842114754), ("whalesay", 3936077093)],
)
def test_node_ids_are_argo_s(node: str, number: int) -> None:
    # Taken from a status in Argo's own tests, workflow/controller/dag_test.go.
    workflow = "parameter-aggregation-one-will-fail2-jt776"
    assert node_id(workflow, f"{workflow}.{node}") == f"{workflow}-{number}"
    assert node_id(workflow, workflow) == workflow


def test_other_names() -> None:
    assert pod_name("wf", "wf", "main") == "wf"
    assert pod_name("wf", "a", "main") == "wf-main-3826002220"
    assert display_name("wf[0].step(0:x)", "wf") == "step(0:x)"
    assert display_name("wf.dag.task", "wf.dag") == "task"
    assert display_name("wf[0]", "wf") == "[0]"
    assert task_name("wf[0].fan(0:1)(0)[0]") == "fan"
    assert task_name("wf.a.b-c") == "b-c"


def test_packing_gives_back_what_it_took() -> None:
    workflow: Any = {"status": {"phase": "Running", "nodes": {"a": {"message": "x" * 2_000_000}}}}
    pack(workflow)
    assert "nodes" not in workflow["status"]
    unpack(workflow)
    assert workflow["status"]["nodes"]["a"]["message"] == "x" * 2_000_000
    assert "compressedNodes" not in workflow["status"]
