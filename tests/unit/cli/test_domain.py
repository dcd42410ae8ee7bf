"""What the command decides by itself: values, times, trees, profiles."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import JsonValue

from sluice_cli.domain.letter_text import letter_lines
from sluice_cli.domain.moments import duration, moment, seconds
from sluice_cli.domain.parameters import read_parameter, value_of
from sluice_cli.domain.profiles import Profile, connection_of, read_profiles
from sluice_cli.domain.run_tree import RunTree
from sluice_cli.domain.state_text import waits
from sluice_cli.domain.usage import UsageError
from sluice_contracts.graphs import PlannedGraph, PlannedStep
from sluice_contracts.http_dead_letters import DeadLetterContentDocument
from sluice_contracts.status import Phase, StatusEvent
from sluice_contracts.steps import Step, StepGroup

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
SCHEMA: dict[str, JsonValue] = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "workers": {"type": "integer", "minimum": 1},
        "ratio": {"type": "number"},
        "sure": {"type": "boolean"},
        "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        "colour": {"enum": ["red", "green"]},
        "size": {"enum": [1, 2]},
        "list": {"type": "array", "items": {"type": "integer"}},
        "of": {"$ref": "#/$defs/Of"},
        "any": {},
        "loop": {"$ref": "#/properties/loop"},
    },
    "$defs": {"Of": {"type": "object"}},
}


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("text=3", "3"),
        ("text=a=b", "a=b"),
        ("text=", ""),
        ("workers=3", 3),
        ("workers= 3 ", 3),
        ("workers=3.0", 3.0),
        # Sluice says what is wrong with these, by the name of the parameter.
        ("workers=three", "three"),
        ("workers=3.5", "3.5"),
        ("workers=true", "true"),
        ("ratio=1e3", 1000.0),
        ("ratio=NaN", "NaN"),
        ("sure=true", True),
        ("sure=yes", "yes"),
        ("maybe=null", None),
        ("either=5", "5"),
        ("either:=5", 5),
        ("colour=red", "red"),
        ("size=2", 2),
        ("list=[1, 2]", [1, 2]),
        ("of={}", {}),
        ("any=x", "x"),
        ("any={}", "{}"),
        ("loop=1", "1"),
        ("unknown=3", "3"),
    ],
)
def test_a_parameter_has_the_type_of_the_schema(typed: str, value: JsonValue) -> None:
    parameter = read_parameter(typed)
    assert value_of(parameter, parameter.text, schema=SCHEMA) == value


def test_without_a_schema_a_parameter_is_a_text_unless_it_is_typed_as_json() -> None:
    for typed, value in (("workers=3", "3"), ("workers:=3", 3)):
        parameter = read_parameter(typed)
        assert value_of(parameter, parameter.text, schema=None) == value


def test_an_error_does_not_repeat_the_value() -> None:
    secret = "correct horse battery staple"
    with pytest.raises(UsageError) as raised:
        read_parameter(secret)
    assert secret not in str(raised.value)
    parameter = read_parameter(f"name:={secret}")
    with pytest.raises(UsageError) as raised:
        value_of(parameter, parameter.text, schema=None)
    assert secret not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "ago"),
    [("2h", timedelta(hours=2)), ("1d12h", timedelta(hours=36)), ("90s", timedelta(seconds=90))],
)
def test_a_time_may_be_so_long_ago(text: str, ago: timedelta) -> None:
    assert moment(text, now=NOW) == NOW - ago


def test_a_time_needs_an_offset() -> None:
    assert moment("2026-11-30T12:00:00Z", now=NOW) == NOW
    for text in ("2026-11-30T12:00:00", "2026-11-30", "2", ""):
        with pytest.raises(UsageError):
            moment(text, now=NOW)


def test_spans_are_read_and_written() -> None:
    assert [seconds(each) for each in ("90", "1.5", "5m", "1h30m")] == [90, 1.5, 300, 5400]
    shown = [duration(each) for each in (0.04, 9.9, 42, 61, 3600, 90061, -1)]
    assert shown == ["0.0s", "9.9s", "42s", "1m01s", "1h00m", "1d01h", "0.0s"]


def event(phase: Phase, *steps: Step, sequence: int = 1, **members: Any) -> StatusEvent:
    return StatusEvent.model_validate(
        {
            "event_id": "e",
            "run_id": "order-1",
            "tenant": "default",
            "workflow": "map-reduce",
            "workflow_name": "run-1",
            "phase": phase,
            "terminal": phase.terminal,
            "steps": steps,
            "observed_at": NOW,
            "sequence": sequence,
            **members,
        }
    )


def step(name: str, phase: str = "Running", **members: Any) -> Step:
    return Step.model_validate(
        {"id": f"id-{name}", "name": name, "type": "Pod", "phase": phase, **members}
    )


def shown(tree: RunTree) -> list[str]:
    return [str(line) for line in tree.lines(now=NOW)]


def test_two_hundred_copies_are_one_line() -> None:
    tree = RunTree()
    phases = ["Succeeded"] * 180 + ["Running"] * 15 + ["Pending"] * 5
    copies = [step(f"count({n}:x)", phase) for n, phase in enumerate(phases)]
    tree.apply(event(Phase.RUNNING, step("split", "Succeeded"), *copies))
    assert shown(tree) == ["split  done", "count x200: 180 done, 15 running, 5 waiting"]
    assert tree.lines(now=NOW)[1].word == "running"
    tree.apply(event(Phase.RUNNING, step("count(199:x)", "Failed", message="OOM")))
    assert shown(tree)[1] == "count x200: 180 done, 15 running, 4 waiting, 1 failed"
    assert tree.lines(now=NOW)[1].word == "failed"


def test_planned_steps_are_shown_until_they_begin_or_the_run_is_over() -> None:
    graph = PlannedGraph(
        steps=tuple(PlannedStep(id=name, name=name) for name in ("split", "count", "sum"))
    )
    tree = RunTree(graph)
    assert shown(tree) == ["split  planned", "count  planned", "sum  planned"]
    begun = step("split", started_at=NOW - timedelta(seconds=3))
    tree.apply(event(Phase.RUNNING, begun))
    assert shown(tree) == ["split  running 3.0s", "count  planned", "sum  planned"]
    tree.apply(event(Phase.FAILED, step("split", "Failed", message="no text")))
    assert shown(tree) == ["split  failed: no text"]


def test_steps_inside_of_others_are_below_their_name() -> None:
    tree = RunTree()
    inside = [
        step(f"read-{n}", boundary=f"id-part({n})", id=f"id-read-{n}").model_copy(
            update={"name": "read"}
        )
        for n in range(2)
    ]
    around = [step(f"part({n})", type="DAG") for n in range(2)]
    tree.apply(event(Phase.RUNNING, *around, *inside, step("end", "Pending")))
    assert shown(tree) == ["part", "  read x2: 2 running", "end  waiting"]


def test_a_step_in_a_group_and_one_that_contains_itself_have_a_place() -> None:
    tree = RunTree()
    group = StepGroup(id="id-all", name="all", phase="Running")
    looped = step("loop", boundary="id-loop")
    asked = step("ask", type="Suspend", boundary="id-all")
    tree.apply(event(Phase.RUNNING, looped, asked, groups=(group,)))
    assert shown(tree) == ["loop  running", "all", "  ask  suspended"]


def test_a_terminal_event_has_all_steps_unless_it_is_cut() -> None:
    tree = RunTree()
    tree.apply(event(Phase.RUNNING, step("a")))
    tree.apply(event(Phase.SUCCEEDED, truncated=True))
    assert shown(tree) == ["a  running"]
    tree.apply(event(Phase.SUCCEEDED, step("b", "Succeeded")))
    assert shown(tree) == ["b  done"]


def test_what_is_given_comes_before_the_profile() -> None:
    profile = Profile(url="https://a/", tenant="acme", token_file="~/token", kafka="k:9092")
    found = connection_of(profile)
    assert (found.url, found.kafka, found.tenant) == ("https://a", None, "acme")
    assert (found.token, found.token_file) == (None, "~/token")
    found = connection_of(profile, url="https://b", kafka="l:9092", tenant="t", token="secret")
    assert (found.url, found.kafka, found.tenant) == ("https://b", "l:9092", "t")
    assert (found.token, found.token_file) == ("secret", None)
    assert "secret" not in repr(found)
    assert connection_of(profile, token="secret", token_file="f").token_file == "f"
    assert connection_of(Profile(kafka="k:9092")).kafka == "k:9092"
    assert connection_of(Profile(kafka="k:9092"), url="https://b").kafka is None
    assert connection_of(Profile()).url == "http://localhost:8080"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"url": "https://a"}, "'url' does not belong there"),
        ({"profiles": []}, "'profiles' does not belong there"),
        ({"profiles": {"a": 1}}, "profiles.a must be a table"),
        ({"profiles": {"a": {"uri": "x"}}}, "there is no 'uri'; there are url"),
        ({"profiles": {"a": {"url": 1}}}, "profiles.a.url must be a text"),
        ({"profiles": {"a": {"token": "x"}}}, "token must not stand there"),
        ({"profiles": {"a": {"topics": 1}}}, "profiles.a.topics must be a table"),
        ({"profiles": {"a": {"kafka_security": {"password": "x"}}}}, "password must not stand"),
    ],
)
def test_a_configuration_that_is_wrong_is_refused(document: Any, said: str) -> None:
    with pytest.raises(UsageError, match="file: ") as raised:
        read_profiles(document, source="file")
    assert said in str(raised.value)


def test_a_letter_has_its_problem_before_what_was_decided() -> None:
    letter = DeadLetterContentDocument.model_validate(
        {
            "id": "0-1",
            "state": "replayed",
            "reason": "urn:sluice:problem:invalid-request",
            "title": "Invalid request",
            "detail": "Two places are wrong.",
            "tenant": "acme",
            "run": None,
            "request": "sluice.requests/0@1",
            "requested_at": NOW,
            "rejected_at": NOW,
            "size": 2,
            "truncated": False,
            "decision": {
                "by": "ada",
                "at": NOW,
                "reason": "a typo",
                "run": {"tenant": "acme", "id": "r-1"},
            },
            "links": {"self": "/v1/dead-letters/0-1", "run": "/v1/runs/r-1"},
            "problem": {
                "type": "urn:sluice:problem:invalid-request",
                "title": "Invalid request",
                "status": 422,
                "detail": "Two places are wrong.",
                "errors": [
                    {"pointer": "/a", "detail": "Wrong."},
                    {"pointer": "/b", "detail": "Missing."},
                ],
            },
            "payload": None,
        }
    )
    assert letter_lines(letter)[4:] == [
        "Problem:   Invalid request: Two places are wrong.",
        "           /a: Wrong.",
        "           /b: Missing.",
        "Decision:  replayed by ada at 2026-11-30T12:00:00+00:00",
        "Its run:   acme/r-1: sluice watch r-1 --tenant acme",
        "Reason:    a typo",
        "What it holds is not shown: that needs the scope payloads:read.",
    ]


@pytest.mark.parametrize(
    ("held_by", "said"),
    [
        (None, "place 2, starts in 1m39s"),
        ("tenant-limit", "place 2, starts in 1m39s: tenant-limit"),
        ("paused", "place 2: paused"),
    ],
)
def test_no_start_is_foretold_while_a_pause_holds_a_run(held_by: str | None, said: str) -> None:
    queue = {"position": 2, "eta": NOW + timedelta(seconds=99), "held_by": held_by}
    assert waits(event(Phase.ACCEPTED, queue=queue), now=NOW) == said
