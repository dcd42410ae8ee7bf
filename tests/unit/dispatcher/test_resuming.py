"""A resume answers the suspended steps, as `argo resume` and `argo node set` do."""

from datetime import UTC, datetime
from typing import Any

import pytest

from sluice_argo import metadata
from sluice_argo.request_facts import decode_request_facts
from sluice_contracts.problems import ProblemType
from sluice_contracts.records import IncomingRecord, Position
from sluice_contracts.requests import ResumeCommand
from sluice_dispatcher.domain.command_patch import plan_change
from sluice_dispatcher.domain.workflow_change import InapplicableCommandError

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)
RECORD = IncomingRecord(position=Position("requests", 0, 7), timestamp_ms=0, key=None, value=None)
DECISION = {"name": "decision", "valueFrom": {"supplied": {}, "default": "yes"}}
COMMENT = {"name": "comment", "valueFrom": {"supplied": {}}}
CHOICES = {"parameters": [{"name": "decision", "value": "", "enum": ["yes", "no"]}]}


def waiting(node_id: str, *outputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    node: dict[str, Any] = {
        "id": node_id,
        "name": f"run-a.{node_id}",
        "displayName": node_id,
        "type": "Suspend",
        "phase": "Running",
    }
    if outputs:
        node["outputs"] = {"parameters": [dict(output) for output in outputs]}
    return node | more


def resumed(*nodes: dict[str, Any], **command: Any) -> dict[str, Any]:
    """Return the paths that the patch sets."""
    workflow = {
        "metadata": {"name": "run-a", "resourceVersion": "5"},
        "spec": {"suspend": True},
        "status": {"phase": "Running", "nodes": {node["id"]: node for node in nodes}},
    }
    order = ResumeCommand(id="a", **command)
    change = plan_change(workflow, order, record=RECORD, now=NOW)
    return {operation["path"]: operation.get("value") for operation in change.patch}


def refused(*nodes: dict[str, Any], **command: Any) -> InapplicableCommandError:
    with pytest.raises(InapplicableCommandError) as caught:
        resumed(*nodes, **command)
    return caught.value


def test_values_become_the_outputs_of_the_step() -> None:
    changed = resumed(
        waiting("approve", DECISION, COMMENT),
        step="approve",
        values={"decision": "no", "comment": "too dear"},
    )
    node = changed["/status/nodes"]["approve"]
    assert (node["phase"], node["finishedAt"]) == ("Succeeded", "2026-01-01T01:00:00Z")
    assert node["outputs"]["parameters"] == [
        {"name": "decision", "value": "no"},
        {"name": "comment", "value": "too dear"},
    ]


def test_a_missing_value_takes_its_default() -> None:
    changed = resumed(waiting("approve", DECISION))
    [output] = changed["/status/nodes"]["approve"]["outputs"]["parameters"]
    assert output == {"name": "decision", "value": "yes"}


def test_a_missing_value_without_default_is_refused_by_name() -> None:
    refusal = refused(waiting("approve", DECISION, COMMENT), values={"decision": "secret"})
    assert refusal.problem_type is ProblemType.NOT_APPLICABLE
    assert "'comment'" in str(refusal)
    assert "secret" not in str(refusal)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"size": "secret"}, "waits for this value"),
        ({"decision": "secret"}, "choices"),
    ],
)
def test_values_that_do_not_fit_are_refused_with_their_places(
    values: dict[str, str], said: str
) -> None:
    refusal = refused(waiting("approve", DECISION, inputs=CHOICES), values=values)
    assert refusal.problem_type is ProblemType.INVALID_PARAMETERS
    [error] = refusal.errors
    assert error.pointer == f"/values/{next(iter(values))}"
    assert said in error.detail
    assert "secret" not in str(refusal) + error.detail


@pytest.mark.parametrize("value", ["{{workflow.uid}}", "{", "$(PASSWORD)", "a$$b"])
def test_values_that_would_be_evaluated_are_refused(value: str) -> None:
    refusal = refused(waiting("approve", COMMENT), values={"comment": value})
    assert [error.pointer for error in refusal.errors] == ["/values/comment"]
    assert "must not contain" in refusal.errors[0].detail


def test_values_that_a_step_has_already_are_not_set_again() -> None:
    answered = {"name": "comment", "value": "done"}
    assert refused(waiting("approve", answered), values={"comment": "again"}).errors
    [output] = resumed(waiting("approve", answered))["/status/nodes"]["approve"]["outputs"][
        "parameters"
    ]
    assert output == answered


@pytest.mark.parametrize("step", ["one", "run-a.one"])
def test_a_resume_with_a_step_answers_only_that_one(step: str) -> None:
    changed = resumed(waiting("one"), waiting("two"), step=step)
    phases = {node_id: node["phase"] for node_id, node in changed["/status/nodes"].items()}
    assert phases == {"one": "Succeeded", "two": "Running"}
    # As in Argo, a step that goes on does not lift the suspension of the whole run.
    assert "/spec/suspend" not in changed


def test_a_resume_without_a_step_answers_all() -> None:
    changed = resumed(waiting("one", DECISION), waiting("two", DECISION), values={"decision": "no"})
    assert "/spec/suspend" in changed
    for node in changed["/status/nodes"].values():
        assert node["outputs"]["parameters"] == [{"name": "decision", "value": "no"}]


def test_values_without_a_step_must_fit_every_waiting_step() -> None:
    assert refused(
        waiting("one", DECISION), waiting("two", COMMENT), values={"decision": "no"}
    ).errors


@pytest.mark.parametrize(
    ("nodes", "command"),
    [
        ([], {"values": {"decision": "yes"}}),
        ([waiting("one")], {"step": "two"}),
        ([waiting("one", phase="Succeeded")], {"step": "one"}),
        ([waiting("one", type="Pod")], {"step": "one"}),
        ([waiting("a", displayName="x"), waiting("b", displayName="x")], {"step": "x"}),
    ],
)
def test_a_step_that_does_not_wait_or_is_not_one_is_refused(
    nodes: list[dict[str, Any]], command: dict[str, Any]
) -> None:
    assert refused(*nodes, **command).problem_type is ProblemType.NOT_APPLICABLE


def test_an_answer_with_a_global_name_is_an_output_of_the_workflow() -> None:
    output = {**COMMENT, "globalName": "verdict"}
    changed = resumed(waiting("approve", output), values={"comment": "fine"})
    assert changed["/status/outputs"]["parameters"] == [{"name": "verdict", "value": "fine"}]


def test_the_workflow_says_what_was_applied_last_and_why() -> None:
    changed = resumed(waiting("one"), reason="the customer called")
    annotations = changed["/metadata/annotations"]
    last = decode_request_facts(annotations).last_command
    assert last is not None
    assert (last.type, last.reason, last.applied_at) == ("resume", "the customer called", NOW)
    assert metadata.APPLIED_COMMANDS in annotations
