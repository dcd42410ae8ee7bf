"""Commands to runs, workflows, tenants and dead letters, as they are typed."""

import json

import pytest

from sluice_client import Phase, ProblemType
from sluice_contracts.requests import ResumeCommand, RetryCommand
from tests.unit.cli.person import Person
from tests.unit.cli.test_runs import WAITING


@pytest.fixture
def held(person: Person) -> Person:
    """Two runs that are held."""
    for number in (1, 2):
        person.sees("run", "approval", "--id", f"order-{number}")
        person.sluice.publish(f"order-{number}", Phase.RUNNING)
    return person


@pytest.mark.parametrize("command", ["stop", "terminate", "suspend"])
def test_runs_are_commanded_with_a_reason(held: Person, command: str) -> None:
    shown = held.sees(command, "order-1", "order-2", "--reason", "too dear")
    assert [line.split()[:2] for line in shown.splitlines()[1:]] == [
        ["order-1", command],
        ["order-2", command],
    ]
    given = [(each.type, each.id, each.reason) for each in held.sluice.commands]
    assert given == [(command, "order-1", "too dear"), (command, "order-2", "too dear")]


def test_what_fails_for_one_run_does_not_stop_the_others(held: Person) -> None:
    result = held.types("stop", "order-9", "order-2", "-o", "name")
    assert (result.exit_code, result.stdout) == (8, "order-2\n")
    assert "order-9: 404 Unknown run" in result.stderr


def test_a_run_is_resumed_and_retried(held: Person) -> None:
    held.sees("suspend", "order-1")
    held.sees("resume", "order-1", "--step", "ask", "--value", "a=b=c")
    held.sees("stop", "order-1")
    held.sees("retry", "order-1", "--step", "count", "--restart-succeeded", "--reason", "again")
    [resumed, _, retried] = held.sluice.commands[1:]
    assert isinstance(resumed, ResumeCommand)
    assert (resumed.step, resumed.values) == ("ask", {"a": "b=c"})
    assert isinstance(retried, RetryCommand)
    assert (retried.step, retried.restart_succeeded, retried.reason) == ("count", True, "again")
    assert held.types("resume", "order-1", "--value", "a=b").exit_code == 2
    assert held.types("resume", "order-1", "--step", "ask", "--value", "a").exit_code == 2


def test_the_step_that_waits_is_answered(held: Person) -> None:
    held.sluice.publish("order-1", Phase.SUSPENDED, waiting_for=[WAITING])
    held.sees("approve", "order-1", "decision=approve", "comment=fine", "--reason", "asked for")
    [command] = held.sluice.commands
    assert isinstance(command, ResumeCommand)
    assert command.step == "run-1-approve"
    assert command.values == {"decision": "approve", "comment": "fine"}
    assert command.reason == "asked for"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["decision=maybe"], "/values/decision: must be one of approve, refuse."),
        (["decision=approve", "colour=red"], "/values/colour: the step does not ask for it."),
        ([], "/values/decision: it is missing."),
        (["decision"], "must be like name=value"),
        (["--step", "other"], "No such step waits"),
    ],
)
def test_an_answer_that_does_not_fit_is_not_sent(held: Person, words: list[str], said: str) -> None:
    held.sluice.publish("order-1", Phase.SUSPENDED, waiting_for=[WAITING])
    result = held.types("approve", "order-1", *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert held.sluice.commands == []


def test_of_several_steps_one_has_to_be_named(held: Person) -> None:
    other = WAITING | {"step": "run-1-check", "name": "check", "answer": None}
    held.sluice.publish("order-1", Phase.SUSPENDED, waiting_for=[WAITING, other])
    result = held.types("approve", "order-1")
    assert result.exit_code == 2
    assert "name one with --step: approve (run-1-approve), check (run-1-check)" in result.stderr
    held.sees("approve", "order-1", "--step", "check")


def test_a_run_is_run_again(person: Person) -> None:
    person.sees("run", "hello", "-p", "name=Ada", "-p", "times=1", "--id", "order-1", "-l", "a=b")
    shown = person.sees(
        "rerun", "order-1", "-p", "name=Bob", "--id", "order-2", "--priority", "low", "--watch"
    )
    assert shown == "greeting = Hello, Bob!\n"
    again = person.sluice.requests[-1]
    assert (again.parent, again.priority) == ("order-1", "low")
    assert again.parameters == {"name": "Bob", "times": "1"}
    assert person.sees("rerun", "order-1", "--id", "order-3") == "order-3\n"


def test_many_runs_are_commanded_once_their_number_is_confirmed(held: Person) -> None:
    words = ("command-all", "stop", "-w", "approval", "--phase", "Running", "--reason", "over")
    refused = held.types(*words, stdin="n\n")
    assert (refused.exit_code, held.sluice.commands) == (130, [])
    assert "stop 2 runs?" in refused.stderr
    assert held.sees(*words, "--yes", "-o", "name").split() == ["order-2", "order-1"]
    assert len(held.sluice.commands) == 2
    assert "No run is selected" in held.types(*words, "--yes").stderr
    assert held.types("command-all", "cancel").exit_code == 2
    held.sees("run", "approval")
    unanswered = held.types("command-all", "stop", "-w", "approval", stdin="")
    assert (unanswered.exit_code, "add --yes" in unanswered.output) == (2, True)


@pytest.mark.parametrize(("verb", "state"), [("pause", "paused"), ("drain", "draining")])
@pytest.mark.parametrize("kind", ["workflow", "tenant"])
def test_workflows_and_tenants_are_controlled(
    person: Person, verb: str, state: str, kind: str
) -> None:
    shown = person.sees(f"{verb}-{kind}", "acme", "--reason", "a test")
    assert shown == f"{kind} acme: {state}\n"
    row = person.sees("controls").splitlines()[1]
    assert row.split()[:3] == [kind, "acme", state]
    assert row.endswith("a test")
    person.sees(f"resume-{kind}", "acme")
    assert person.sees("controls", "-o", "name") == ""


def test_dead_letters_are_listed_shown_replayed_and_dropped(person: Person) -> None:
    first = person.sluice.reject('{"workflow": "hello", "parameters": {"name": "Ada"}}')
    second = person.sluice.reject("no JSON", kind=ProblemType.MALFORMED_JSON)
    assert person.sees("dlq", "list", "-o", "name").split() == [second, first]
    assert person.sees("dlq", "list", "--type", "malformed-json", "-o", "name").split() == [second]
    assert "no JSON" in person.sees("dlq", "show", second)
    assert "Decision" not in person.sees("dlq", "show", second)

    shown = person.sees("dlq", "replay", first, "--reason", "a typo")
    [run] = person.sluice.requests
    assert f"Its run is {run.id}: sluice watch {run.id}\n" in shown
    assert f"Its run:   default/{run.id}: sluice watch {run.id}\n" in person.sees(
        "dlq", "show", first
    )
    assert person.types("dlq", "replay", first).exit_code == 8
    value = json.dumps({"workflow": "hello", "parameters": {"name": "Bob"}})
    assert person.types("dlq", "replay", second, "--value", "{").exit_code == 2
    assert person.types("dlq", "replay", second, "--value", "[]").exit_code == 2
    person.sees("dlq", "replay", second, "--value", "@-", stdin=value)

    third = person.sluice.reject("nothing")
    assert person.sees("dlq", "drop", third, "--reason", "no use") == f"{third}: dropped\n"
    assert person.sees("dlq", "list", "--state", "dropped", "-o", "name").split() == [third]
    assert person.types("dlq", "list", "--state", "gone").exit_code == 2
