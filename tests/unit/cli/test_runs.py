"""Starting, following and reading runs, as they are typed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sluice_client import Phase, ProblemType
from tests.unit.cli.person import Person

WAITING = {
    "step": "run-1-approve",
    "name": "approve",
    "message": None,
    "since": None,
    "answer": {
        "type": "object",
        "properties": {"decision": {"enum": ["approve", "refuse"]}, "comment": {"type": "string"}},
        "required": ["decision"],
    },
}


def steps(**phases: str) -> list[Mapping[str, Any]]:
    return [
        {"id": f"id-{name}", "name": name.replace("_", "(") + (")" if "_" in name else ""), **each}
        for name, phase in phases.items()
        for each in [{"type": "Pod", "phase": phase}]
    ]


def started_for_acme(person: Person) -> str:
    person.sluice.tenant = "acme"
    try:
        return person.types("run", "hello", "--id", "order-2", "--tenant", "acme").stderr
    finally:
        person.sluice.tenant = "default"


def test_a_run_is_started_and_its_id_is_the_result(person: Person) -> None:
    result = person.types(
        "run", "hello", "-p", "name=Ada", "--id", "order-1", "-l", "team=a", "--tenant", "default"
    )
    assert (result.exit_code, result.stdout) == (0, "order-1\n")
    assert result.stderr == "Accepted. Watch it: sluice watch order-1\n"
    assert "order-2 --tenant acme\n" in started_for_acme(person)
    request = person.sluice.requests[0]
    assert request.parameters == {"name": "Ada"}
    assert request.labels == {"team": "a"}


def test_a_run_is_watched_to_its_end(person: Person) -> None:
    result = person.types("run", "hello", "-p", "name=Ada", "--id", "order-1", "--watch")
    assert (result.exit_code, result.stdout) == (0, "greeting = Hello, Ada!\n")
    said = [line.split("  ", 1)[1] for line in result.stderr.splitlines()]
    assert said == ["order-1  Running", "order-1  Succeeded"]


def test_the_exit_code_is_the_outcome(person: Person) -> None:
    result = person.types("run", "hello", "--wait")
    assert result.exit_code == 1
    assert "Failed" in result.stdout
    person.sees("run", "approval", "--id", "order-1")
    person.sluice.publish("order-1", Phase.REJECTED)
    person.sees("watch", "order-1", code=3)


def test_what_is_not_over_in_time_goes_on(person: Person) -> None:
    result = person.types("run", "approval", "--id", "order-1", "--watch", "--timeout", "0.01")
    assert result.exit_code == 4
    assert "sluice watch order-1" in result.stderr
    assert person.types("run", "approval", "--wait", "--timeout", "0.01").exit_code == 4


def test_the_copies_of_a_step_are_one_line(person: Person) -> None:
    person.sees("run", "approval", "--id", "order-1")
    person.sluice.publish(
        "order-1",
        Phase.RUNNING,
        steps=steps(split="Succeeded", count_0="Succeeded", count_1="Running", count_2="Pending"),
    )
    person.sluice.publish("order-1", Phase.SUCCEEDED, outputs={"total": "3"}, steps=[])
    result = person.types("watch", "order-1")
    assert "split done; count x3: 1 done, 1 running, 1 waiting" in result.stderr


def test_with_ndjson_each_event_is_a_line(person: Person) -> None:
    shown = person.sees("run", "hello", "-p", "name=Ada", "--watch", "-o", "ndjson")
    events = [json.loads(line) for line in shown.splitlines()]
    assert [each["state"]["phase"] for each in events] == ["Running", "Succeeded"]
    assert events[-1]["place"] == "0:1"


def test_with_json_the_result_is_the_outcome_alone(person: Person) -> None:
    shown = person.sees("run", "hello", "-p", "name=Ada", "--watch", "-o", "json")
    assert json.loads(shown)["outputs"] == {"greeting": "Hello, Ada!"}


def test_parameters_come_from_files_and_from_standard_input(person: Person, tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_bytes(b"a b\r\n")
    person.sees("run", "hello", "-p", f"name=@{book}")
    person.sees("run", "hello", "-p", "name=@-", stdin="Ada")
    person.sees("run", "hello", "-p", "name=@@home", "-p", "times:=[1, 2]")
    assert [each.parameters for each in person.sluice.requests] == [
        {"name": "a b\r\n"},
        {"name": "Ada"},
        {"name": "@home", "times": [1, 2]},
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-p", "name"], "must be like name=value"),
        (["-p", "name=a", "-p", "name=b"], "/parameters/name: it is there twice"),
        (["-p", "name=@/nowhere"], "/parameters/name: /nowhere: No such file"),
        (["-p", "name:={"], "/parameters/name: this is not JSON"),
        (["-p", "a=@-", "-p", "b=@-"], "@- twice"),
        (["-l", "team"], "must be like name=value"),
        (["--timeout", "5m"], "--timeout needs --watch or --wait"),
        (["--watch", "--wait"], "exclude each other"),
        (["--wait", "--timeout", "soon"], "must be like 90, 90s, 5m"),
        (["--id", "no id"], "/id: "),
    ],
)
def test_what_is_wrong_is_named(person: Person, words: list[str], said: str) -> None:
    result = person.types("run", "hello", *words)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert person.sluice.requests == []


def test_a_workflow_that_does_not_exist_is_refused(person: Person) -> None:
    result = person.types("run", "hallo")
    assert result.exit_code == 2
    assert "Unknown workflow" in result.stderr


def test_a_failure_has_an_exit_code_of_its_own(person: Person) -> None:
    person.sees("run", "hello", "--id", "order-1", "-p", "name=Ada")
    assert person.types("run", "hello", "--id", "order-1", "-p", "name=Bob").exit_code == 8
    assert person.types("status", "order-2").exit_code == 8
    for kind, code in (
        (ProblemType.UNAVAILABLE, 5),
        # What only reads cannot have been carried out.
        (ProblemType.INTERNAL, 5),
        (ProblemType.OUTCOME_UNKNOWN, 5),
        (ProblemType.FORBIDDEN, 7),
        (ProblemType.UNAUTHENTICATED, 7),
        (ProblemType.METHOD_NOT_ALLOWED, 9),
    ):
        # All repetitions fail.
        person.sluice.fail_next(kind, times=1_000_000)
        assert person.types("status", "order-1").exit_code == code
        person.sluice._gateway._failures.clear()


def test_the_status_has_what_there_is_to_know(person: Person) -> None:
    person.sees("run", "approval", "--id", "order-1", "-l", "team=a")
    person.sluice.publish(
        "order-1",
        Phase.SUSPENDED,
        progress="1/2",
        waiting_for=[WAITING],
        steps=steps(propose="Succeeded"),
    )
    shown = person.sees("status", "order-1")
    assert "Phase:        Suspended 1/2" in shown
    assert "approve [decision=approve|refuse, comment=...]: sluice approve order-1" in shown
    assert "  propose  done" in shown
    assert person.sees("status", "order-1", "-o", "name") == "order-1\n"
    assert json.loads(person.sees("status", "order-1", "-o", "json"))["phase"] == "Suspended"


def test_text_cannot_command_the_terminal(person: Person) -> None:
    person.sees("run", "approval", "--id", "order-1")
    person.sluice.publish("order-1", Phase.FAILED, message="\x1b[2Jgone")
    assert "\x1b" not in person.types("status", "order-1").output
    assert "\x1b" not in person.types("watch", "order-1").output
    assert "\x1b" not in person.types("list", "-o", "json").output


def test_outputs_are_shown_as_they_are(person: Person) -> None:
    person.sees("run", "hello", "-p", "name=Ada", "--id", "order-1")
    assert person.sees("outputs", "order-1") == "greeting = Hello, Ada!\n"
    assert person.sees("outputs", "order-1", "greeting") == "Hello, Ada!\n"
    assert json.loads(person.sees("outputs", "order-1", "-o", "json")) == {
        "greeting": "Hello, Ada!"
    }
    assert "it has greeting" in person.types("outputs", "order-1", "other").stderr


def test_runs_are_listed_and_filtered(person: Person) -> None:
    for number in range(3):
        person.sees("run", "approval", "--id", f"order-{number}", "-l", f"odd={number % 2}")
    person.sluice.publish("order-1", Phase.SUCCEEDED)
    assert person.sees("list", "-o", "name").split() == ["order-2", "order-1", "order-0"]
    assert person.sees("list", "-l", "odd=0", "-o", "name").split() == ["order-2", "order-0"]
    assert person.sees("list", "-l", "odd!=0", "-o", "name").split() == ["order-1"]
    assert person.sees("list", "--phase", "succeeded", "-o", "name").split() == ["order-1"]
    assert person.sees("list", "-w", "hello", "-o", "name") == ""
    assert person.sees("list", "-q", "r-2", "--since", "1h", "-o", "name").split() == ["order-2"]
    assert person.sees("list", "--until", "1h", "-o", "name") == ""
    assert person.sees("list", "--tenant", "acme", "-o", "name") == ""
    shown = person.types("list", "-n", "1")
    heading, row = shown.stdout.splitlines()
    assert heading.split()[:4] == ["ID", "TENANT", "WORKFLOW", "PHASE"]
    assert row.split()[:4] == ["order-2", "default", "approval", "Accepted"]
    assert "newest 1" in shown.stderr
    assert len(json.loads(person.sees("list", "-o", "json"))) == 3
    assert len(person.sees("list", "-o", "ndjson").splitlines()) == 3


@pytest.mark.parametrize("words", [["--phase", "Done"], ["--since", "yesterday"], ["-l", "a"]])
def test_filters_that_are_wrong_are_refused(person: Person, words: list[str]) -> None:
    assert person.types("list", *words).exit_code == 2


def test_the_queue_is_listed_from_its_head(person: Person) -> None:
    for number in range(3):
        person.sees("run", "approval", "--id", f"order-{number}")
    person.sluice.publish("order-1", Phase.RUNNING)
    assert person.sees("queue", "-o", "name").split() == ["order-0", "order-2"]
    shown = person.types("queue", "-n", "1")
    assert "2 runs wait" in shown.stderr


def test_workflows_are_listed(person: Person) -> None:
    assert person.sees("workflows", "-o", "name").split() == ["hello", "approval"]
    assert "PARAMETER" in person.sees("workflows", "hello")
    assert person.types("workflows", "nope").exit_code == 8


def test_the_events_of_all_runs_are_followed(person: Person) -> None:
    person.sees("run", "hello", "-p", "name=Ada", "--id", "order-1")
    shown = person.sees("tail", "--after", "0:0", "-c", "2", "-o", "ndjson")
    assert [json.loads(line)["type"] for line in shown.splitlines()] == [
        "sluice.run.running",
        "sluice.run.succeeded",
    ]
    shown = person.sees("tail", "--after", "0:0", "-c", "1", "--phase", "Succeeded")
    assert "order-1  hello  Succeeded" in shown


def test_the_page_of_a_run_is_opened(person: Person) -> None:
    address = "http://localhost:8080/runs/order-1?tenant=acme"
    assert person.sees("open", "order-1", "--tenant", "acme") == f"{address}\n"
    assert person.opened == [address]
    assert person.sees("open", "--print") == "http://localhost:8080/runs\n"
    assert len(person.opened) == 1
