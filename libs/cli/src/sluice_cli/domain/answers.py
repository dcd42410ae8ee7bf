"""Answers to steps that wait: which step is meant, and whether the answer fits."""

from collections.abc import Sequence

from sluice_cli.domain.usage import UsageError
from sluice_contracts.steps import WaitingStep

__all__ = ["answer_of", "step_to_answer"]


def step_to_answer(waiting: Sequence[WaitingStep], *, step: str | None) -> WaitingStep:
    """Return the step that is answered.

    Raises:
        UsageError: there is none, or it is not clear which one is meant.
    """
    found = [each for each in waiting if step in (None, each.step, each.name)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{each.name} ({each.step})" for each in waiting)
    if not found:
        raise UsageError(f"No such step waits for an answer; {names or 'none'} does.")
    raise UsageError(f"Several steps wait for an answer; name one with --step: {names}.")


def answer_of(step: WaitingStep, values: Sequence[str]) -> dict[str, str]:
    """Return the answer, from texts like `name=value`.

    Raises:
        UsageError: it does not fit to what the step waits for.
    """
    answer: dict[str, str] = {}
    for each in values:
        name, sign, value = each.partition("=")
        if not sign or not name:
            raise UsageError("An answer must be like name=value.")
        answer[name] = value
    schema = step.answer or {}
    properties = schema.get("properties")
    members = properties if isinstance(properties, dict) else {}
    required = schema.get("required")
    missing = set(required if isinstance(required, list) else ()) - set(answer)
    wrong = [
        f"/values/{name}: the step does not ask for it." for name in answer if name not in members
    ]
    wrong += [f"/values/{name}: it is missing." for name in sorted(map(str, missing))]
    wrong += [
        f"/values/{name}: must be one of {', '.join(map(str, choices))}."
        for name, value in answer.items()
        if (choices := _choices(members.get(name))) and value not in choices
    ]
    if wrong:
        raise UsageError("\n".join([f"Step {step.name!r} waits for another answer.", *wrong]))
    return answer


def _choices(schema: object) -> list[str]:
    match schema:
        case {"enum": list(values)}:
            return [str(each) for each in values]
    return []
