"""Leaves out of events what only `payloads:read` shows; pure.

Whatever may hold a value of a run goes: parameters, inputs, outputs, and texts by others, as Argo's
messages and what the API server says of a Workflow. What is left says where the run stands.
"""

import json
import re
from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

from sluice_contracts.problems import Problem

__all__ = ["redacted", "redacted_problem", "redacted_text"]

_LEFT_OUT: Final = "Left out: this needs the scope payloads:read."

# Argo names the steps of a loop after their values, as in `mail(0:ada@example.com)`.
_VALUE_IN_NAME: Final = re.compile(r"\((\d+):.*\)", re.DOTALL)

_OF_A_STEP: Final[Mapping[str, JsonValue]] = {"message": None, "inputs": {}, "outputs": {}}
_OF_AN_EVENT: Final[Mapping[str, JsonValue]] = {"message": None, "outputs": {}, "parameters": None}
_OF_A_PROBLEM: Final[Mapping[str, JsonValue]] = {"detail": _LEFT_OUT, "errors": []}


def redacted(event: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the event, or the state that repeats one, without what may hold values."""
    kept = _without(event, _OF_AN_EVENT)
    for name, values in (
        ("problem", _OF_A_PROBLEM),
        ("queue", {"detail": None}),
        ("last_command", {"reason": None}),
    ):
        part = kept.get(name)
        if isinstance(part, dict):
            kept[name] = _without(part, values)
    for name, values in (
        ("steps", _OF_A_STEP),
        ("groups", {}),
        ("waiting_for", {"message": None, "answer": None}),
    ):
        parts = kept.get(name)
        if isinstance(parts, list):
            kept[name] = [
                _without(each, values) | _plain_name(each)
                for each in parts
                if isinstance(each, dict)
            ]
    return kept


def redacted_problem(problem: Problem) -> Problem:
    """Return the problem without what may hold values."""
    return problem.model_copy(update={"detail": _LEFT_OUT, "errors": ()})


def redacted_text(data: str) -> str:
    """Return the JSON of an event, on one line, without what may hold values."""
    event = json.loads(data)
    return json.dumps(redacted(event), ensure_ascii=False, separators=(",", ":"))


def _without(
    document: Mapping[str, JsonValue], values: Mapping[str, JsonValue]
) -> dict[str, JsonValue]:
    return {name: values.get(name, value) for name, value in document.items()}


def _plain_name(part: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    name = part.get("name")
    return {"name": _VALUE_IN_NAME.sub(r"(\1)", name)} if isinstance(name, str) else {}
