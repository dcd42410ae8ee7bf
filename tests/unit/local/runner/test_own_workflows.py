"""A folder with workflows of the user's own."""

from pathlib import Path

import pytest

from sluice_local.errors import LocalModeError
from sluice_local.runner.own_workflows import read_templates

TEMPLATE = "kind: WorkflowTemplate\nmetadata: {name: %s}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "catalogue.yaml").write_text("entries: []\n")
    return tmp_path


def test_every_file_but_the_catalogue_has_templates(folder: Path) -> None:
    (folder / "b.yaml").write_text(TEMPLATE % "two" + "---\n" + TEMPLATE % "three" + "---\n")
    (folder / "a.yml").write_text("kind: ClusterWorkflowTemplate\nmetadata: {name: one}\n")
    (folder / "README.md").write_text("not read")
    found = read_templates(folder)
    assert [each.name for each in found] == ["one", "two", "three"]
    assert [each.path.rpartition("/")[2] for each in found] == [
        "clusterworkflowtemplates",
        "workflowtemplates",
        "workflowtemplates",
    ]


def test_a_folder_without_a_catalogue_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalModeError, match=r"has no catalogue\.yaml"):
        read_templates(tmp_path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a: [", "line 1: not valid YAML"),
        ("kind: Workflow\nmetadata: {name: x}\n", "not a WorkflowTemplate with a name"),
        ("kind: WorkflowTemplate\nmetadata: {generateName: x}\n", "not a WorkflowTemplate with a"),
        ("just text", "not a WorkflowTemplate with a name"),
    ],
)
def test_a_file_of_something_else_is_refused(folder: Path, content: str, says: str) -> None:
    (folder / "mine.yaml").write_text(content)
    with pytest.raises(LocalModeError, match=says) as caught:
        read_templates(folder)
    assert "mine.yaml" in str(caught.value)
