"""The logs of steps, as they are typed and shown."""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest

from sluice_cli.adapters.styles import json_text
from sluice_cli.adapters.terminal import Terminal
from sluice_cli.domain.formats import Format
from sluice_cli.domain.log_text import log_text
from sluice_client import LogLine, Phase, ProblemType
from sluice_client.fake_documents import RefusedError
from sluice_contracts.steps import Step
from tests.unit.cli.person import Person
from tests.unit.cli.test_connecting import complete

NOON = datetime(2025, 11, 30, 12, tzinfo=UTC)


def step(
    name: str,
    *,
    phase: str = "Succeeded",
    kind: str = "Pod",
    start: int | None = 0,
    id_: str | None = None,
    archived: str | None = None,
) -> Step:
    """Make a step that has begun so many seconds after noon."""
    return Step(
        id=id_ or f"id-{name}",
        name=name,
        type=kind,
        phase=phase,
        started_at=None if start is None else NOON + timedelta(seconds=start),
        logs={"main": archived} if archived else {},
    )


Publish = Callable[..., None]


@pytest.fixture
def publish(person: Person) -> Publish:
    """Let the run `order-1` have these steps."""
    person.sees("run", "approval", "--id", "order-1")

    def published(*steps: Step, phase: Phase = Phase.RUNNING) -> None:
        person.sluice.publish("order-1", phase, steps=steps)

    return published


def test_the_only_step_that_runs_a_pod_is_meant(person: Person, publish: Publish) -> None:
    publish(step("all", kind="DAG"), step("greet"))
    person.sluice.write_log("order-1", "greet", "a", "b | c")
    result = person.types("logs", "order-1")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "a\nb | c\n", "")
    assert person.sees("logs", "order-1", "greet") == "a\nb | c\n"
    assert person.sees("logs", "order-1", "id-greet", "--tail", "1") == "b | c\n"


def test_of_several_each_line_has_its_step_in_the_order_of_their_start(
    person: Person, publish: Publish
) -> None:
    publish(
        step("last", start=9, phase="Running"),
        step("twin", start=4, id_="id-2"),
        step("twin", start=3, id_="id-1"),
        step("first", start=1),
    )
    for name in ("id-1", "id-2", "first", "last"):
        person.sluice.write_log("order-1", name, f"of {name}")
    assert person.sees("logs", "order-1").splitlines() == [
        "first | of first",
        "id-1 | of id-1",
        "id-2 | of id-2",
        "last | of last",
    ]


def test_what_has_no_log_is_said_and_why(person: Person, publish: Publish) -> None:
    publish(
        step("gone", archived="s3://bucket/key", start=1),
        step("there", start=2),
        step("quiet", phase="Running", start=3),
        step("later", phase="Pending", start=4),
        step("ask", kind="Suspend", phase="Running", start=5),
        step("never", kind="Skipped", phase="Skipped", start=None),
        step("all", kind="Steps", phase="Running"),
    )
    person.sluice.write_log("order-1", "there", "a")
    person.sluice.delete_log("order-1", "gone")
    result = person.types("logs", "order-1")
    assert (result.exit_code, result.stdout) == (0, "there | a\n")
    assert result.stderr.splitlines() == [
        "gone: The pod of the step is gone. Its archived log is at s3://bucket/key.",
        "quiet: It has written nothing yet.",
        "later: It has not started, so its log is empty; --follow waits for it.",
        "ask: It runs no pod (Suspend).",
        "never: It was not run (Skipped).",
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "gone",
            "410 Log no longer kept: The pod of the step is gone. Its archived log is at s3://a/b",
        ),
        ("all", "409 Not applicable"),
        ("twin", "2 steps have this name"),
        ("other", "404 Not found"),
    ],
)
def test_a_step_without_a_log_is_an_error_if_it_was_asked_for(
    person: Person, publish: Publish, name: str, said: str
) -> None:
    publish(
        step("gone", archived="s3://a/b"),
        step("all", kind="DAG"),
        step("twin", id_="id-1"),
        step("twin", id_="id-2"),
    )
    person.sluice.delete_log("order-1", "gone")
    result = person.types("logs", "order-1", name)
    assert (result.exit_code, result.stdout) == (8, "")
    assert said in result.stderr


def test_a_run_without_any_log_is_not_a_success(person: Person, publish: Publish) -> None:
    result = person.types("logs", "order-1")
    assert (result.exit_code, result.stderr) == (
        8,
        "Run order-1 has no step that runs a pod yet.\n",
    )
    publish(step("greet"), phase=Phase.SUCCEEDED)
    person.sluice.delete_log("order-1", "greet")
    assert person.types("logs", "order-1").exit_code == 8
    assert person.types("logs", "order-2").exit_code == 8


def test_where_no_step_has_a_log_that_is_said_once(person: Person, publish: Publish) -> None:
    publish(step("one"), step("two"))
    refusal = RefusedError(ProblemType.LOGS_DISABLED, "Not set up.")
    with patch.object(person.sluice._gateway, "_opened", side_effect=refusal):
        result = person.types("logs", "order-1")
    assert result.exit_code == 8
    assert result.stderr.count("Not set up.") == 1


def test_a_state_without_its_steps_is_said(person: Person) -> None:
    person.sees("run", "approval", "--id", "order-1")
    person.sluice.publish("order-1", Phase.RUNNING, truncated=True)
    result = person.types("logs", "order-1")
    assert (result.exit_code, "name one" in result.stderr) == (8, True)


def test_with_ndjson_each_line_is_an_object(person: Person, publish: Publish) -> None:
    publish(step("one", start=1), step("two", start=2))
    person.sluice.write_log("order-1", "one", "a\x1b[2J")
    person.sluice.write_log("order-1", "two", "b")
    for form in ("ndjson", "json"):
        lines = person.sees("logs", "order-1", "-o", form).splitlines()
        assert [json.loads(line) for line in lines] == [
            {
                "step": f"id-{name}",
                "name": name,
                "place": "1:1",
                "time": None,
                "text": text,
                "truncated": False,
            }
            for name, text in (("one", "a\x1b[2J"), ("two", "b"))
        ]


def line(text: str, *, time: str | None = "2025-11-30T12:00:00.000000001Z") -> LogLine:
    return LogLine(text=text, time=time, truncated=False, place="1:1")


def test_a_line_may_begin_with_its_time() -> None:
    said = log_text(line("a"), step="greet", times=True)
    assert said == "greet | 2025-11-30T12:00:00.000000001Z a"
    assert log_text(line("a"), step=None, times=False) == "a"
    assert log_text(line("a", time=None), step=None, times=True) == "a"


class Output(io.TextIOWrapper):
    """Standard output, in an encoding that does not have every character."""

    def __init__(self, *, terminal: bool) -> None:
        self.written = io.BytesIO()
        super().__init__(self.written, encoding="utf-8" if terminal else "latin-1")
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


HOSTILE = "\x1b[2J\x9b2J\r\u202e\u2192\ud800"


def shown(*, terminal: bool, form: Format = Format.TABLE) -> bytes:
    out = Output(terminal=terminal)
    screen = Terminal(form, out=out, err=io.StringIO())
    screen.log({"text": HOSTILE}, text=HOSTILE)
    return out.written.getvalue()


def test_a_log_cannot_command_the_terminal_and_passes_a_pipe_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replaced = "\ufffd[2J\ufffd2J\ufffd\ufffd\u2192\ufffd\n"
    assert shown(terminal=True).decode() == replaced
    # What libraries take for a terminal is none.
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert shown(terminal=False).decode() == HOSTILE.replace("\ud800", "?") + "\n"
    for form in (Format.JSON, Format.NDJSON):
        said = shown(terminal=True, form=form).decode()
        assert json.loads(said) == {"text": HOSTILE}
        assert said.strip("\n").isprintable()


def test_what_is_escaped_in_json_is_the_same_document() -> None:
    document = {"a": ["\x9b", "\u2192", "\x7f", {"b": "\U000e0001"}], "c": "\n"}
    said = json_text(document, indent=2)
    assert json.loads(said) == document
    assert said.replace("\n", "").isprintable()
    assert "\u2192" in said


def test_the_name_of_a_step_cannot_look_like_a_line(person: Person, publish: Publish) -> None:
    publish(step("a\nb | \x1b[2J", id_="id-1"), step("c", id_="id-2"))
    person.sluice.write_log("order-1", "id-1", "text")
    assert person.sees("logs", "order-1") == "a\ufffdb | \ufffd[2J | text\n"


def test_logs_need_the_gateway(person: Person) -> None:
    result = person.types("logs", "order-1", "--kafka", "localhost:1")
    assert result.exit_code == 2
    assert "Logs of steps need the gateway" in result.stderr
    assert person.types("logs", "order-1", "--tail", "-1").exit_code == 2


def test_steps_are_completed(person: Person, publish: Publish) -> None:
    publish(
        step("greet"), step("count(0:a)"), step("all", kind="DAG"), step("grow", phase="Skipped")
    )
    assert complete(person, "sluice logs order-1 ") == ["greet", "id-count(0:a)"]
    assert complete(person, "sluice logs order-1 g") == ["greet"]
    assert complete(person, "sluice logs order-2 ") == []
