"""Commands to runs that have ended, and starts of runs that exist: what is said of them."""

import json

import pytest

from sluice_cli.domain.effects import effect_of
from sluice_client import Phase, ProblemType, StatusEvent
from sluice_contracts.requests import CommandType
from tests.unit.cli.person import Person

HELLO = ("run", "hello", "-p", "name=Ada", "--id", "order-1")


@pytest.fixture
def ended(person: Person) -> Person:
    """A run that has succeeded, and one that runs."""
    person.sees(*HELLO)
    person.sees("run", "approval", "--id", "order-2")
    person.sluice.publish("order-2", Phase.RUNNING)
    return person


@pytest.mark.parametrize("command", ["stop", "terminate", "suspend", "resume", "retry"])
def test_a_command_to_a_run_that_has_ended_says_so(ended: Person, command: str) -> None:
    result = ended.types(command, "order-1", "-o", "name")
    assert (result.exit_code, result.stdout) == (8, "")
    said = "Run 'order-1' had already ended as Succeeded; nothing was changed."
    assert result.stderr.startswith(said)
    assert ("--restart-succeeded" in result.stderr) == (command == "retry")
    # A retry may be on its way that is not seen yet, so the command is given all the same.
    assert [each.type for each in ended.sluice.commands] == [command]


def test_of_several_runs_only_those_that_go_on_are_commanded(ended: Person) -> None:
    result = ended.types("stop", "order-1", "order-2", "-o", "name")
    assert (result.exit_code, result.stdout) == (8, "order-2\n")
    assert "'order-1' had already ended" in result.stderr
    assert "order-2" not in result.stderr


@pytest.mark.parametrize("command", ["stop", "terminate"])
def test_a_command_that_is_repeated_is_done(ended: Person, command: str) -> None:
    ended.sees(command, "order-2")
    result = ended.types(command, "order-2", "-o", "name")
    assert (result.exit_code, result.stdout) == (0, "order-2\n")
    assert result.stderr == f"Run 'order-2' had already ended as Failed, by {command}.\n"


def test_another_command_is_none_that_is_repeated(ended: Person) -> None:
    ended.sees("stop", "order-2")
    assert ended.types("terminate", "order-2").exit_code == 8


def test_what_succeeded_is_retried_on_demand_alone(ended: Person) -> None:
    assert ended.types("retry", "order-1").exit_code == 8
    assert ended.types("retry", "order-1", "--step", "a").exit_code == 0
    ended.sluice.publish("order-1", Phase.SUCCEEDED)
    assert ended.types("retry", "order-1", "--restart-succeeded").exit_code == 0
    ended.sluice.publish("order-1", Phase.FAILED)
    assert ended.types("retry", "order-1").exit_code == 0


def test_a_retry_may_come_before_the_end_that_it_needs(ended: Person) -> None:
    result = ended.types("retry", "order-2", "-o", "name")
    assert (result.exit_code, result.stdout) == (0, "order-2\n")
    assert "the retry counts only if the run ends within seconds" in result.stderr


def test_a_run_that_has_ended_waits_for_no_answer(ended: Person) -> None:
    result = ended.types("approve", "order-1", "decision=approve")
    assert (result.exit_code, ended.sluice.commands) == (8, [])
    assert "had already ended as Succeeded" in result.stderr


def test_who_may_not_read_a_run_may_still_command_it(ended: Person) -> None:
    ended.sluice.fail_next(ProblemType.UNKNOWN_RUN)
    result = ended.types("stop", "order-1")
    assert (result.exit_code, result.stderr) == (0, "")


def test_a_stop_that_came_before_the_workflow_is_done_as_well() -> None:
    state = cancelled(by="stop")
    found = effect_of("stop", state, restarts=False)
    assert found is not None
    assert found.is_done
    other = effect_of("terminate", state, restarts=False)
    assert other is not None
    assert not other.is_done


def test_the_gateway_may_refuse_what_is_done(ended: Person) -> None:
    stopped = cancelled(by="stop").last_command
    ended.sluice.publish("order-2", Phase.REJECTED, last_command=stopped)
    assert ended.sees("stop", "order-2", "-o", "name") == "order-2\n"
    refused = ended.types("terminate", "order-2", "-o", "name")
    assert (refused.exit_code, refused.stdout) == (8, "")
    assert ended.sluice.commands == []


def cancelled(*, by: CommandType) -> StatusEvent:
    """Give the state of a run that a command has ended while it waited."""
    return StatusEvent.model_validate(
        {
            "event_id": "e",
            "run_id": "order-1",
            "tenant": "default",
            "workflow": "hello",
            "workflow_name": "run-1",
            "phase": "Rejected",
            "terminal": True,
            "observed_at": "2026-11-30T12:00:00Z",
            "sequence": 0,
            "last_command": {"type": by, "applied_at": "2026-11-30T12:00:00Z"},
        }
    )


class TestCommandsToMany:
    """`command-all` counts what it can change."""

    def test_runs_that_had_ended_are_not_counted(self, ended: Person) -> None:
        asked = ended.types("command-all", "stop", "-q", "order", stdin="n\n")
        assert "stop 1 run (1 had ended already)?" in asked.stderr
        result = ended.types("command-all", "stop", "-q", "order", "--yes")
        assert result.exit_code == 0
        assert result.stderr == "stop was given to 1 run; 1 had ended already.\n"
        rows = {line.split()[0]: line for line in result.stdout.splitlines()[1:]}
        assert rows["order-1"].endswith("nothing was changed: it was Succeeded")
        assert rows["order-2"].split() == ["order-2", "default", "202"]

    def test_their_ids_are_none_of_the_results(self, ended: Person) -> None:
        words = ("command-all", "stop", "-q", "order", "--yes")
        assert ended.sees(*words, "-o", "name") == "order-2\n"
        # By now nothing is left, and nothing is asked or sent.
        before = len(ended.sluice.commands)
        result = ended.types("command-all", "stop", "-q", "order")
        assert (result.exit_code, len(ended.sluice.commands)) == (0, before)
        assert result.stderr == "Nothing is to be done: 2 had ended already.\n"

    def test_a_run_that_never_was_a_workflow_has_ended_as_well(self, ended: Person) -> None:
        ended.sees("run", "approval", "--id", "order-3")
        ended.sluice.publish("order-3", Phase.EXPIRED)
        result = ended.types("command-all", "stop", "-q", "order", "--yes", "-o", "name")
        assert (result.exit_code, result.stdout) == (0, "order-2\n")
        assert result.stderr == "stop was given to 1 run; 2 had ended already.\n"

    def test_a_retry_is_for_those_that_have_failed(self, ended: Person) -> None:
        ended.sees("stop", "order-2")
        result = ended.types("command-all", "retry", "-q", "order", "--yes", "-o", "json")
        assert result.stderr == "retry was given to 1 run; 1 had not failed.\n"
        phases = {each["id"]: each["phase"] for each in json.loads(result.stdout)}
        assert phases == {"order-1": "Succeeded", "order-2": "Failed"}


class TestStartsOfRunsThatExist:
    """The same id never starts a second run."""

    def test_the_run_and_how_it_ended_are_named(self, ended: Person) -> None:
        result = ended.types(*HELLO)
        assert (result.exit_code, result.stdout) == (0, "order-1\n")
        assert result.stderr == (
            "Run 'order-1' exists already, and has ended as Succeeded; nothing was started. "
            "Read it: sluice status order-1\n"
        )

    def test_a_run_that_goes_on_can_be_watched(self, ended: Person) -> None:
        result = ended.types("run", "approval", "--id", "order-2")
        assert "exists already, and is Running; nothing was started" in result.stderr
        assert "Watch it: sluice watch order-2" in result.stderr

    def test_with_a_wait_the_exit_code_is_the_outcome(self, ended: Person) -> None:
        ended.sees("stop", "order-2")
        result = ended.types("run", "approval", "--id", "order-2", "--wait")
        assert result.exit_code == 1
        assert "exists already, and has ended as Failed" in result.stderr

    def test_so_does_a_second_rerun(self, ended: Person) -> None:
        words = ("rerun", "order-1", "--id", "order-3")
        assert "Accepted." in ended.types(*words).stderr
        assert "'order-3' exists already" in ended.types(*words).stderr

    def test_without_an_id_only_the_client_can_have_repeated_it(self, person: Person) -> None:
        # The entry is not found; then the answer to the start is lost, and the client repeats it.
        person.sluice.fail_next(ProblemType.NOT_FOUND)
        person.sluice.fail_next(ProblemType.OUTCOME_UNKNOWN, carried_out=True)
        result = person.types("run", "approval")
        assert result.exit_code == 0
        assert result.stderr.startswith("Accepted.")
        assert len(person.sluice.requests) == 1
