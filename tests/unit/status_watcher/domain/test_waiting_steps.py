"""What suspended steps wait for, by their nodes."""

from typing import Any

from sluice_status_watcher.domain.waiting_steps import waiting_steps


def suspended(name: str = "approve", **more: Any) -> dict[str, Any]:
    return {"displayName": name, "type": "Suspend", "phase": "Running"} | more


def test_only_suspend_steps_that_run_are_waiting() -> None:
    nodes = {
        "b": suspended("second"),
        "a": suspended("first"),
        "c": suspended(phase="Succeeded"),
        "d": suspended(type="Pod"),
        "e": None,
    }
    waiting = waiting_steps(nodes)
    assert [(step.step, step.name, step.answer) for step in waiting] == [
        ("a", "first", None),
        ("b", "second", None),
    ]


def test_the_answer_is_described_by_the_inputs_of_the_same_name() -> None:
    node = suspended(
        message="May it go out?",
        startedAt="2026-12-01T09:30:00Z",
        inputs={
            "parameters": [
                {"name": "approve", "enum": ["YES", "NO"], "description": "The decision."},
                {"name": "unrelated", "value": "x"},
            ]
        },
        outputs={
            "parameters": [
                {"name": "approve", "valueFrom": {"supplied": {}}},
                {"name": "comment", "valueFrom": {"supplied": {}, "default": "none"}},
                {"name": "note", "valueFrom": {"supplied": {}, "default": ""}},
                {"name": "file", "valueFrom": {"path": "/x"}},
            ]
        },
    )
    (step,) = waiting_steps({"a": node})
    assert step.message == "May it go out?"
    assert step.since is not None
    assert step.answer == {
        "type": "object",
        "properties": {
            "approve": {
                "type": "string",
                "enum": ["YES", "NO"],
                "description": "The decision.",
            },
            "comment": {"type": "string", "default": "none"},
            "note": {"type": "string", "default": ""},
        },
        "required": ["approve"],
        "additionalProperties": False,
    }


def test_malformed_parts_are_left_out() -> None:
    node = suspended(
        inputs=[],
        outputs={"parameters": [7, {"valueFrom": {"supplied": {}}}, {"name": "x", "valueFrom": 1}]},
    )
    assert waiting_steps({"a": node})[0].answer is None
    huge = suspended(message="x" * 5000)
    assert len(waiting_steps({"a": huge})[0].message or "") == 1024


def test_a_run_with_very_many_shows_some() -> None:
    assert len(waiting_steps({f"n{n}": suspended(f"s{n}") for n in range(100)})) == 16
