"""The command `sluice`, typed by a person whose Sluice is a whole one."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from sluice_client import Retries
from sluice_client.sync import Sluice as SyncSluice
from sluice_local.processes import ChildProcess
from tests.support.client import OUTCOME_SECONDS
from tests.support.engines import Engine
from tests.support.kafka import KafkaServer, unique_name
from tests.support.sluice import Sluice, running_sluice

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

BOOK = Path("examples/texts/alice-in-wonderland.txt")
SLUICE = [sys.executable, "-m", "sluice_cli"]
# Background jobs of a shell ignore Ctrl-C, and so would what they start.
_PROGRAM = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("sluice_cli", run_name="__main__")
"""
INTERRUPTIBLE = [sys.executable, "-c", _PROGRAM]


class Person:
    """Types commands in a shell that knows the Sluice."""

    def __init__(self, sluice: Sluice, home: Path) -> None:
        self.sluice = sluice
        config = home / "config.toml"
        topics = "\n".join(
            f'{name} = "{topic}"' for name, topic in sluice.topics.model_dump().items()
        )
        config.write_text(
            f'[profiles.default]\nurl = "{sluice.url}"\n[profiles.default.topics]\n{topics}\n'
        )
        config.chmod(0o600)
        self.environment = {**os.environ, "SLUICE_CLI_CONFIG": str(config), "NO_COLOR": "1"}

    def types(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*SLUICE, *words],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env=self.environment,
            timeout=OUTCOME_SECONDS,
        )

    def sees(self, *words: str, stdin: str = "", code: int = 0) -> str:
        done = self.types(*words, stdin=stdin)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout


def examples() -> list[tuple[str, str]]:
    """Return the scripts of docs/cli.md, each with what it prints on standard output."""
    page = Path("docs/cli.md").read_text("utf-8")
    block = r"((?:(?!```).*\n)*)```\n"
    found = re.findall(rf"^```sh\n{block}\n```text\n{block}", page, re.MULTILINE)
    return [(script, printed) for script, printed in found if "sluice " in script]


def wildcards(printed: str) -> str:
    """Return a pattern in which … is anything on a line, and spaces at its end do not count."""
    return re.escape(printed).replace("…", ".*")


@pytest.fixture(scope="module")
def person(
    kafka: KafkaServer, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Person]:
    # One of its own: its gateway is killed at last.
    controls = {"SLUICE_KAFKA__CONTROLS_TOPIC": unique_name("controls")}
    with running_sluice(
        kafka,
        tmp_path_factory.mktemp("cli"),
        engine=engine,
        environment={"gateway": controls, "dispatcher": controls},
        logs=True,
    ) as running:
        yield Person(running, tmp_path_factory.mktemp("home"))


def test_a_book_is_counted_and_watched(person: Person) -> None:
    done = person.types(
        "run", "map-reduce", "-p", "workers=3", "-p", f"text=@{BOOK}", "--watch", "--id", "book"
    )
    assert done.returncode == 0, done.stderr
    outputs = dict(line.split(" = ", 1) for line in done.stdout.splitlines())
    assert json.loads(outputs["counts"])["alice"] > 300
    assert "count x3: 3 done" in done.stderr
    assert person.sees("outputs", "book", "total") == f"{outputs['total']}\n"
    assert "count x3: 3 done" in person.sees("status", "book")
    assert "count x3: 3 done" in person.types("watch", "book").stderr


def test_the_outcome_is_the_exit_code(person: Person) -> None:
    wrong = person.types("run", "map-reduce", "-p", "workers=many", "-p", "text=a")
    assert wrong.returncode == 2
    assert "/parameters/workers: Input should be a valid integer" in wrong.stderr
    run_id = person.sees("run", "approval", "-p", "reason=a printer").strip()
    person.sees("stop", run_id, "--reason", "too dear")
    assert "stop by" not in person.sees("watch", run_id, code=1)
    assert "too dear" in person.sees("status", run_id)


def test_an_approval_is_answered(person: Person) -> None:
    run_id = person.sees("run", "approval", "-p", "reason=a printer").strip()
    events = subprocess.Popen(
        [*SLUICE, "watch", run_id, "-o", "ndjson"],
        stdout=subprocess.PIPE,
        text=True,
        env=person.environment,
    )
    with events:
        assert events.stdout is not None
        for line in events.stdout:
            if json.loads(line)["state"]["phase"] == "Suspended":
                break
        person.sees("approve", run_id, "decision=approve", "comment=fine")
        assert [json.loads(line) for line in events.stdout][-1]["state"]["terminal"]
    assert events.returncode == 0
    assert person.sees("outputs", run_id, "comment") == "fine\n"


def test_ctrl_c_leaves_the_run_alone(person: Person, tmp_path: Path) -> None:
    seen = threading.Event()
    lines: list[str] = []

    def listen(line: str) -> None:
        lines.append(line)
        if "Suspended" in line:
            seen.set()

    watching = ChildProcess(
        "watch",
        [*INTERRUPTIBLE, "run", "approval", "--id", "held", "--watch"],
        log_path=tmp_path / "watch.log",
        environment=person.environment,
        on_line=listen,
    )
    assert seen.wait(OUTCOME_SECONDS), lines
    watching._process.send_signal(signal.SIGINT)
    assert watching.exited.result(timeout=OUTCOME_SECONDS) == 130
    assert lines[-1] == "Run held goes on. Watch it again: sluice watch held"
    assert person.sees("list", "--phase", "Suspended", "-q", "held", "-o", "name") == "held\n"


def by_steps(lines: Iterable[str]) -> list[str]:
    """Leave out what Argo's executor writes; it shares the container."""
    return [line.rstrip("\n") for line in lines if " argo=true" not in line]


def test_the_logs_of_all_steps_are_followed_to_the_end_of_the_run(person: Person) -> None:
    run_id = person.sees("run", "map-reduce", "-p", "workers=2", "-p", "text=a b").strip()
    done = person.types("logs", run_id, "--follow")
    assert done.returncode == 0, done.stderr
    assert by_steps(done.stdout.splitlines()) == ["split | [0, 1]"], done.stdout + done.stderr
    # Argo's executor writes to the log of each step; without it, this one has none.
    has_lines = any(line.startswith("sum | ") for line in done.stdout.splitlines())
    assert has_lines or "sum: It " in done.stderr
    person.sees("watch", run_id)


def test_a_run_that_has_failed_says_how_to_read_why(person: Person) -> None:
    done = person.types("run", "failure", "--watch")
    assert done.returncode == 1, done.stderr
    command = done.stderr.splitlines()[-1].removeprefix("Read why: sluice ")
    assert "out of luck" in person.sees(*command.split())


def test_a_log_that_is_followed_goes_on_when_the_gateway_was_away(person: Person) -> None:
    """`sluice logs` would wait for 60 s; a gateway may take longer to start beside other tests."""
    with SyncSluice(person.sluice.url, retries=Retries(within=300)) as client:
        run = client.start("chatter")
        lines: list[str] = []
        next(event for event in run.events() if event.state.steps)
        for line in map(str, run.logs("talk", follow=True)):
            lines.append(line)
            if line == "line 3000":
                person.sluice.kill("gateway")
                person.sluice.start("gateway")
            if line == "line 9999":
                run.stop()
    said = by_steps(lines)
    assert [each for each in said if each.startswith("line ")] == [
        f"line {number}" for number in range(10_000)
    ]
    assert said[-1] == "bye"
    last = person.sees("logs", run.id, "--tail", "1", "-o", "ndjson", "--timestamps")
    assert json.loads(last)["name"] == "talk"


def test_the_examples_of_the_page_do_what_it_says(person: Person, tmp_path: Path) -> None:
    found = examples()
    assert len(found) > 5
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for script, printed in found:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**person.environment, "PATH": path},
            timeout=OUTCOME_SECONDS,
        )
        assert done.returncode == 0, script + done.stdout
        assert re.fullmatch(wildcards(printed), done.stdout), done.stdout


def test_all_is_well(person: Person) -> None:
    shown = person.sees("doctor", "--kafka", person.sluice.kafka.bootstrap_servers)
    assert shown.count("ok     ") == 6, shown


def test_without_the_gateway_kafka_is_enough(person: Person) -> None:
    person.sluice.kill("gateway")
    kafka = ("--kafka", person.sluice.kafka.bootstrap_servers)
    done = person.types(
        "run", "map-reduce", "-p", f"text=@{BOOK}", "--watch", "--id", "dark", *kafka
    )
    assert done.returncode == 0, done.stderr
    assert "counts = " in done.stdout
    assert "count x4: 4 done" in done.stderr
    place = json.loads(person.sees("watch", "dark", *kafka, "-o", "ndjson").splitlines()[0])[
        "place"
    ]
    partition, offset = place.split(":")
    behind = f"{partition}:{offset}"
    tail = person.sees("tail", "--after", behind, "-q", "dark", "-c", "2", *kafka, "-o", "name")
    assert tail.split() == ["dark", "dark"]
    person.sees("run", "approval", "--id", "dark-2", *kafka)
    person.sees("terminate", "dark-2", *kafka)
    person.sees("watch", "dark-2", *kafka, code=1)
    unknown = person.types("run", "nope", "--wait", *kafka)
    assert unknown.returncode == 3
    assert "Unknown workflow" in unknown.stdout
