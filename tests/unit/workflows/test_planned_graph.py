"""The graph that a run of a spec will have, before it exists."""

import json
from importlib.resources import files
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_contracts.graphs import PlannedGraph, PlannedStep
from sluice_workflows.built_in_graphs import built_in_graphs
from sluice_workflows.builtin import BUILT_IN, GRAPHS_FILE
from sluice_workflows.planned_graph import (
    MAX_DEPENDENCIES,
    MAX_DEPTH,
    MAX_STEPS,
    planned_graph,
)

Json = dict[str, Any]


def graph_of(spec: str | Json) -> PlannedGraph:
    graph = planned_graph(yaml.safe_load(spec) if isinstance(spec, str) else spec)
    assert graph is not None
    return graph


def by_id(graph: PlannedGraph) -> dict[str, PlannedStep]:
    steps = {step.id: step for step in graph.steps}
    assert len(steps) == len(graph.steps)
    return steps


def waits(graph: PlannedGraph) -> dict[str, tuple[str, ...]]:
    return {step.id: step.depends_on for step in graph.steps}


def test_the_committed_graphs_are_fresh() -> None:
    committed = files("sluice_workflows.builtin").joinpath(GRAPHS_FILE).read_text("utf-8")

    assert committed == built_in_graphs(), "run `make graphs`"
    assert all(entry.graph is not None for entry in BUILT_IN)


LEAF = "{name: leaf, container: {image: i, command: [c]}}"


def test_a_dag() -> None:
    graph = graph_of(f"""
        entrypoint: main
        templates:
          - name: main
            dag:
              tasks:
                - {{name: a, template: leaf}}
                - {{name: b, template: leaf, dependencies: [a], withItems: [1, 2]}}
                - {{name: c-1, template: leaf, depends: "a.Succeeded && (!b.AnyFailed||b)"}}
                - {{name: d, template: leaf, depends: b, when: "1 == 2"}}
          - {LEAF}
        """)

    assert waits(graph) == {"a": (), "b": ("a",), "c-1": ("a", "b"), "d": ("b",)}
    steps = by_id(graph)
    assert steps["b"].repeated
    assert not steps["a"].repeated
    assert steps["d"].conditional
    assert {(step.name, step.template, step.kind, step.boundary) for step in graph.steps} == {
        (name, "leaf", "Pod", None) for name in ("a", "b", "c-1", "d")
    }
    assert not graph.truncated


def test_a_dag_with_targets_runs_what_they_wait_for() -> None:
    graph = graph_of(f"""
        entrypoint: main
        templates:
          - name: main
            dag:
              target: "c e"
              tasks:
                - {{name: a, template: leaf}}
                - {{name: b, template: leaf}}
                - {{name: c, template: leaf, dependencies: [a]}}
                - {{name: d, template: leaf, dependencies: [c]}}
                - {{name: e, template: leaf}}
          - {LEAF}
        """)

    assert [step.name for step in graph.steps] == ["a", "c", "e"]


def test_lines_of_steps_wait_for_the_line_before() -> None:
    graph = graph_of(f"""
        entrypoint: main
        templates:
          - name: main
            steps:
              - - {{name: a, template: leaf}}
              - - {{name: b, template: leaf, withParam: "{{{{x}}}}"}}
                - {{name: c, template: wait}}
              - - {{name: d, template: leaf, withSequence: {{count: 3}}}}
          - {LEAF}
          - {{name: wait, suspend: {{}}}}
        """)

    assert waits(graph) == {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}
    steps = by_id(graph)
    assert steps["c"].kind == "Suspend"
    assert [step.name for step in graph.steps if step.repeated] == ["b", "d"]


def test_templates_within_templates_are_bounded_by_their_steps() -> None:
    graph = graph_of(f"""
        entrypoint: main
        templates:
          - name: main
            dag: {{tasks: [{{name: one, template: pair}}, {{name: two, template: pair,
                           dependencies: [one]}}]}}
          - name: pair
            steps: [[{{name: left, template: leaf}}], [{{name: right, inline: {{http: {{}}}}}}]]
          - {LEAF}
        """)

    steps = by_id(graph)
    assert list(steps) == ["one", "two", "one/left", "one/right", "two/left", "two/right"]
    assert (steps["one"].kind, steps["one"].template) == ("Steps", "pair")
    assert steps["two/right"] == PlannedStep(
        id="two/right", name="right", kind="HTTP", depends_on=("two/left",), boundary="two"
    )


def test_a_workflow_of_one_step() -> None:
    graph = graph_of(f"{{entrypoint: leaf, templates: [{LEAF}]}}")

    assert graph.steps == (PlannedStep(id="leaf", name="leaf", template="leaf", kind="Pod"),)


@pytest.mark.parametrize("written", ["onExit: leaf", "hooks: {exit: {template: leaf}}"])
def test_an_exit_handler_follows_the_last_steps(written: str) -> None:
    graph = graph_of(f"""
        entrypoint: main
        {written}
        templates:
          - name: main
            steps: [[{{name: a, template: leaf}}], [{{name: b, template: leaf}},
                                                   {{name: c, template: leaf}}]]
          - {LEAF}
        """)

    handler = by_id(graph)["onExit"]
    assert handler.depends_on == ("b", "c")
    assert handler.exit_handler
    assert not handler.conditional


def test_hooks_have_the_names_of_their_nodes() -> None:
    graph = graph_of(f"""
        entrypoint: main
        hooks: {{running: {{expression: "true", template: leaf}}}}
        templates:
          - name: main
            dag:
              tasks:
                - name: a
                  template: leaf
                  hooks: {{exit: {{template: leaf}}, failed: {{expression: x, template: leaf}}}}
          - {LEAF}
        """)

    steps = by_id(graph)
    assert list(steps) == ["a", "a.onExit", "a.hooks.failed", "hooks.running"]
    assert steps["a.onExit"].depends_on == steps["a.hooks.failed"].depends_on == ("a",)
    assert [id_ for id_, step in steps.items() if step.conditional] == [
        "a.hooks.failed",
        "hooks.running",
    ]


def test_a_template_that_is_kept_elsewhere_has_no_kind() -> None:
    graph = graph_of("""
        entrypoint: main
        templates:
          - name: main
            steps: [[{name: far, templateRef: {name: other, template: main}},
                     {name: lost, template: nowhere}]]
        """)

    assert [(step.template, step.kind) for step in graph.steps] == [
        ("main", None),
        ("nowhere", None),
    ]
    assert not graph.truncated


def test_a_recursive_template_is_shown_once() -> None:
    graph = graph_of(f"""
        entrypoint: flip
        templates:
          - name: flip
            steps: [[{{name: coin, template: leaf}}],
                    [{{name: again, template: flip, when: "x == y"}}]]
          - {LEAF}
        """)

    assert list(by_id(graph)) == ["coin", "again"]
    assert graph.truncated


def test_depth_steps_and_dependencies_are_bounded() -> None:
    leaf = {"name": "leaf", "container": {}}
    deep = [
        {"name": f"t{i}", "steps": [[{"name": "s", "template": f"t{i + 1}"}]]} for i in range(20)
    ]
    wide = {"name": "w", "steps": [[{"name": f"s{i}", "template": "leaf"} for i in range(1000)]]}
    lines = [[{"name": f"s{n}-{i}", "template": "leaf"} for i in range(100)] for n in range(2)]
    cross = {"name": "x", "steps": lines}

    graphs = [
        graph_of({"entrypoint": "t0", "templates": deep}),
        graph_of({"entrypoint": "w", "templates": [wide, leaf]}),
        graph_of({"entrypoint": "x", "templates": [cross, leaf]}),
    ]

    assert all(graph.truncated for graph in graphs)
    assert len(graphs[0].steps) == MAX_DEPTH
    assert len(graphs[1].steps) == MAX_STEPS
    edges = sum(len(step.depends_on) for step in graphs[2].steps)
    assert MAX_DEPENDENCIES - 100 < edges <= MAX_DEPENDENCIES


def test_nothing_depends_on_what_was_left_out() -> None:
    tasks = [{"name": f"t{i}", "template": "leaf", "depends": f"t{i + 1}"} for i in range(400)]
    graph = graph_of({"entrypoint": "m", "templates": [{"name": "m", "dag": {"tasks": tasks}}]})

    known = set(by_id(graph))
    assert all(set(step.depends_on) <= known for step in graph.steps)


@pytest.mark.parametrize(
    "spec",
    [
        "{}",
        "{workflowTemplateRef: {name: t}}",
        "{entrypoint: main}",
        "{entrypoint: main, templates: [{name: other, suspend: {}}]}",
        "{entrypoint: main, templates: [{name: main, steps: []}]}",
    ],
)
def test_there_is_no_graph_without_the_first_template(spec: str) -> None:
    assert planned_graph(yaml.safe_load(spec)) is None


KEYS = st.from_regex(
    "entrypoint|templates|name|main|steps|dag|tasks|template|target|dependencies|depends|hooks"
    "|exit|onExit|inline|templateRef|container",
    fullmatch=True,
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | KEYS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=30,
)


@settings(deadline=None)
@given(st.dictionaries(KEYS, ANYTHING, max_size=5), st.dictionaries(KEYS, ANYTHING, max_size=5))
def test_any_spec_has_a_graph_or_none(spec: Json, template: Json) -> None:
    main = template | {"name": "main"}
    graph = planned_graph(spec | {"entrypoint": "main", "templates": [main, spec, template]})

    if graph is not None:
        assert PlannedGraph.model_validate_json(graph.model_dump_json()) == graph
        known = set(by_id(graph))
        assert all({*step.depends_on, step.boundary or step.id} <= known for step in graph.steps)
        json.dumps(graph.model_dump(mode="json"))
