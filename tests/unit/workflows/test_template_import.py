"""An entry of the catalogue file, made from a manifest of Argo Workflows."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_workflows.catalogue_file import read_catalogue, read_catalogue_file
from sluice_workflows.entries import Entry, TemplateRef
from sluice_workflows.importer import main, read_manifests
from sluice_workflows.parameter_import import declare
from sluice_workflows.template_import import (
    ImportedTemplate,
    NotImportableError,
    import_template,
)

Json = dict[str, Any]

NIGHTLY = """
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata:
  name: nightly.report
  annotations:
    workflows.argoproj.io/title: Nightly report
    workflows.argoproj.io/description: |
      Renders the report of one day.
spec:
  entrypoint: main
  arguments:
    parameters:
      - {name: day, description: "The day, as in 2026-12-01."}
      - {name: since, value: 2026-12-01}
      - {name: at, value: 12:30}
      - {name: copies, default: 3}
      - {name: ratio, value: 0.50}
      - {name: loud, value: true}
      - {name: format, value: pdf, enum: [pdf, html, 1]}
      - {name: head, value: "a\\tb\\nc\\n"}
      - {name: host, valueFrom: {configMapKeyRef: {name: hosts, key: db}}}
      - {name: run, value: "{{workflow.name}}"}
  templates:
    - name: main
      steps: [[{name: render, template: render, withItems: [1, 2]}]]
    - name: render
      container: {image: busybox, command: [echo, "{{workflow.parameters.day}}"]}
"""


def imported(text: str, name: str | None = None) -> ImportedTemplate:
    [manifest] = read_manifests(text.encode())
    return import_template(manifest, name=name)


def entry_of(one: ImportedTemplate) -> Entry:
    text = yaml.safe_dump({"entries": [one.entry]}, allow_unicode=True)
    [entry] = read_catalogue(text.encode(), source="test")
    return entry


def test_a_workflow_template_becomes_an_entry() -> None:
    one = imported(NIGHTLY)
    entry = entry_of(one)

    assert entry.name == "nightly-report"
    assert entry.template == TemplateRef(name="nightly.report")
    assert entry.description == "Nightly report\nRenders the report of one day."
    assert one.template is None
    assert entry.arguments({"day": "2026-12-01"}) == {
        "day": "2026-12-01",
        "since": "2026-12-01",
        "at": "12:30",
        "copies": "3",
        "ratio": "0.5",
        "loud": "true",
        "format": "pdf",
        "head": "a\tb\nc\n",
    }
    properties: Any = entry.parameter_schema()["properties"]
    assert properties["format"]["enum"] == ["pdf", "html", "1"]
    assert properties["day"]["description"].startswith("The day, as in 2026-12-01.")
    assert entry.parameter_schema()["required"] == ["day"]
    assert entry.graph is not None
    assert [(step.name, step.repeated) for step in entry.graph.steps] == [("render", True)]


def test_what_cannot_be_declared_is_said() -> None:
    undeclared = "is not declared, and clients cannot set it:"
    evaluated = "its value must not contain '{{' or end in '{', because Argo would evaluate it"
    assert imported(NIGHTLY).warnings == (
        f"parameter `host` {undeclared} Argo takes it from elsewhere (valueFrom)",
        f"parameter `run` {undeclared} {evaluated}",
        "clients know it as `nightly-report` (--name sets another name)",
    )


@pytest.mark.parametrize(
    ("parameter", "declared"),
    [
        ({"name": "p"}, {"type": "string"}),
        ({"name": "p", "value": "", "default": "d"}, {"type": "string", "default": ""}),
        ({"name": "p", "value": None, "default": "d"}, {"type": "string", "default": "d"}),
        ({"name": "p", "value": 1e6}, {"type": "string", "default": "1000000"}),
        ({"name": "p", "value": 1e-7}, {"type": "string", "default": "0.0000001"}),
        (
            {"name": "p", "value": "é" * 2049},
            {"type": "string", "max_bytes": 8192, "default": "é" * 2049},
        ),
        ({"name": "p", "enum": ["a", "b", "a"]}, {"type": "enum", "values": ["a", "b"]}),
        ({"name": "p", "enum": []}, {"type": "string"}),
    ],
)
def test_a_parameter_is_declared(parameter: Json, declared: Json) -> None:
    assert declare(parameter) == ({"name": "p"} | declared, ())


@pytest.mark.parametrize(
    ("parameter", "warning"),
    [
        ({"value": "x"}, "names have only letters"),
        ({"name": "a.b"}, "names have only letters"),
        ({"name": "p", "value": ["a"]}, "neither text, a number nor a boolean"),
        ({"name": "p", "value": float("nan")}, "neither text, a number nor a boolean"),
        ({"name": "p", "value": "$(HOME)"}, "Kubernetes would expand it"),
        ({"name": "p", "value": "a\r\nb"}, "control characters except newlines"),
        ({"name": "p", "valueFrom": {"supplied": {}}}, "from elsewhere"),
    ],
)
def test_a_parameter_that_stays_as_it_is(parameter: Json, warning: str) -> None:
    declared, [reason] = declare(parameter)

    assert declared is None
    assert warning in reason


@pytest.mark.parametrize(
    ("parameter", "declared", "warning"),
    [
        (
            {"name": "p", "value": "c", "enum": ["a", "b"]},
            {"name": "p", "type": "enum", "values": ["a", "b"]},
            "parameter `p` has no default: its `enum` does not have the template's value",
        ),
        (
            {"name": "p", "enum": ["{a}"]},
            {"name": "p", "type": "string"},
            "parameter `p` may have any text: a value of its `enum` has a brace, or is not text",
        ),
    ],
)
def test_a_parameter_that_is_not_quite_the_same(
    parameter: Json, declared: Json, warning: str
) -> None:
    assert declare(parameter) == (declared, (warning,))


WORKFLOW = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata:
  generateName: hello-
  labels: {team: red}
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: "{}"
    workflows.argoproj.io/title: Hello
spec:
  entrypoint: main
  templates: [{name: main, suspend: {}}]
"""


def test_a_workflow_has_to_become_a_template() -> None:
    one = imported(WORKFLOW)

    assert one.entry["template"] == {"name": "hello"}
    assert one.entry["description"] == "Hello"
    assert one.template == {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "WorkflowTemplate",
        "metadata": {
            "name": "hello",
            "labels": {"team": "red"},
            "annotations": {"workflows.argoproj.io/title": "Hello"},
        },
        "spec": {
            "workflowMetadata": {"labels": {"team": "red"}},
            "entrypoint": "main",
            "templates": [{"name": "main", "suspend": {}}],
        },
    }
    assert "create the WorkflowTemplate `hello`" in one.warnings[0]


def test_a_workflow_of_a_template_refers_to_it() -> None:
    one = imported("""
        apiVersion: argoproj.io/v1alpha1
        kind: Workflow
        metadata: {name: one}
        spec:
          entrypoint: other
          workflowTemplateRef: {name: shared, clusterScope: true}
          arguments: {parameters: [{name: p, value: v}]}
        """)

    assert entry_of(one).template == TemplateRef(name="shared", cluster_scope=True)
    assert entry_of(one).arguments({}) == {"p": "v"}
    assert one.template is None
    left_out, parameters = one.warnings
    assert left_out == "left out, because Sluice runs `shared` as it is: spec.entrypoint"
    assert "import `shared` itself" in parameters


def test_a_cluster_template_keeps_its_scope() -> None:
    one = imported(NIGHTLY.replace("kind: ", "kind: Cluster"), name="other")

    assert entry_of(one).template == TemplateRef(name="nightly.report", cluster_scope=True)
    assert entry_of(one).name == "other"


@pytest.mark.parametrize(
    ("body", "warned"),
    [
        ("script: {command: [sh], source: 'echo {{inputs.parameters.p}}'}", True),
        ("container: {command: [sh, -c], args: ['echo {{workflow.parameters.p}}']}", True),
        ("container: {command: [bash, -ec, \"{{='x' + inputs.parameters.p}}\"]}", True),
        ("containerSet: {containers: [{command: [sh, -c, '{{inputs.parameters.p}}']}]}", True),
        ("container: {command: [cowsay], args: ['{{inputs.parameters.p}}']}", False),
        ("container: {command: [sh, -c, 'echo {{pod.name}}']}", False),
        ("script: {source: x, env: [{name: P, value: '{{inputs.parameters.p}}'}]}", False),
    ],
)
def test_a_value_in_a_program_is_pointed_out(body: str, warned: bool) -> None:
    one = imported(f"""
        apiVersion: argoproj.io/v1alpha1
        kind: WorkflowTemplate
        metadata: {{name: t}}
        spec:
          entrypoint: m
          arguments: {{parameters: [{{name: p}}]}}
          templates: [{{name: m, inputs: {{parameters: [{{name: p}}]}}, {body}}}]
        """)

    assert any("in its program" in warning for warning in one.warnings) is warned


def test_an_artifact_without_a_source_is_pointed_out() -> None:
    one = imported("""
        apiVersion: argoproj.io/v1alpha1
        kind: WorkflowTemplate
        metadata: {name: t}
        spec:
          entrypoint: m
          arguments: {artifacts: [{name: lost}, {name: given, raw: {data: x}}]}
          templates: [{name: m, suspend: {}}]
        """)

    assert [w.partition(",")[0] for w in one.warnings] == ["artifact `lost` has no source"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{kind: ConfigMap, apiVersion: v1}", "is not a WorkflowTemplate"),
        ("{kind: Workflow, apiVersion: other/v1}", "is not a WorkflowTemplate"),
        (NIGHTLY.replace("entrypoint", "unknown"), "has no spec.entrypoint"),
        (NIGHTLY.replace("  name: nightly.report", ""), "has no metadata.name"),
    ],
)
def test_another_manifest_is_refused(text: str, message: str) -> None:
    with pytest.raises(NotImportableError, match=message):
        imported(text)


NODES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.from_regex(
                "name|value|default|enum|description|valueFrom|parameters|artifacts|arguments"
                "|templates|steps|container|command|args|entrypoint|workflowTemplateRef",
                fullmatch=True,
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@settings(deadline=None)
@given(NODES, NODES, NODES)
def test_any_manifest_is_imported_or_refused(spec: object, parameter: object, meta: object) -> None:
    parts = {"entrypoint": "m", "arguments": {"parameters": [parameter]}}
    manifest = {
        "kind": "WorkflowTemplate",
        "apiVersion": "argoproj.io/v1alpha1",
        "metadata": {"name": "t", "annotations": meta},
        "spec": parts | (spec if isinstance(spec, dict) else {}),
    }
    try:
        one = import_template(manifest)
    except NotImportableError:
        return
    assert one.entry["name"]
    assert all(isinstance(warning, str) for warning in one.warnings)


# --- the command


def test_the_command_writes_entries_and_templates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "manifests.yaml").write_text(f"{NIGHTLY}\n---\n{WORKFLOW}\n---\n", "utf-8")

    code = main([str(tmp_path / "manifests.yaml"), "--templates", str(tmp_path / "made.yaml")])

    out, err = capsys.readouterr()
    (tmp_path / "catalogue.yaml").write_text(out, "utf-8")
    entries = read_catalogue_file(tmp_path / "catalogue.yaml")
    assert code == 0
    assert [entry.name for entry in entries] == ["nightly-report", "hello"]
    made = list(yaml.safe_load_all((tmp_path / "made.yaml").read_text("utf-8")))
    assert [template["metadata"]["name"] for template in made] == ["hello"]
    lines = err.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith(f"{tmp_path}/manifests.yaml: WorkflowTemplate `nightly.report`: ")


def test_the_command_reads_a_list_in_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = read_manifests(f"{NIGHTLY}\n---\n{WORKFLOW}".encode())
    file = tmp_path / "list.json"
    file.write_text(yaml.safe_dump({"kind": "List", "items": items}, default_flow_style=True))

    assert main([str(file)]) == 0
    assert "name: nightly-report\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("{kind: Job}", [], "Job ``: is not a WorkflowTemplate"),
        ("[1]", [], "has a document that is not an object"),
        ("{", [], "is neither YAML nor JSON"),
        ("", [], ""),
        (f"{NIGHTLY}\n---\n{WORKFLOW}", ["--name", "x"], "--name needs one manifest"),
        (NIGHTLY, ["--name", "Not A Name"], "is not a valid name of a workflow"),
    ],
)
def test_a_failure_of_the_command(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    text: str,
    options: list[str],
    message: str,
) -> None:
    file = tmp_path / "manifest.yaml"
    file.write_text(text, "utf-8")

    assert main([str(file), *options]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main([str(tmp_path / "none.yaml")]) == 1
    assert "cannot be read: No such file" in capsys.readouterr().err


def test_the_help_is_worth_reading(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert "kubectl get workflowtemplate" in out
    assert "Exit status" in out
