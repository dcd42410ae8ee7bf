"""After a run that has failed, the command says how to read why."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest

from sluice_cli.domain.log_sources import StepsOfRun
from sluice_client import Event, Outcome, Phase, RunHandle
from sluice_contracts.ids import RunKey
from sluice_contracts.requests import CommandType
from sluice_contracts.steps import Step
from tests.unit.cli.person import Person
from tests.unit.cli.test_doctor import FakeBrokers, with_brokers
from tests.unit.cli.test_ended_runs import cancelled
from tests.unit.cli.test_logs import step


def failed(person: Person, *steps: Step, phase: Phase = Phase.FAILED) -> None:
    """Let the run `order-1` end so."""
    person.sees("run", "approval", "--id", "order-1")
    person.sluice.publish("order-1", Phase.RUNNING)
    person.sluice.publish("order-1", phase, steps=steps)


def hint(person: Person, *words: str) -> str:
    """Watch the run, and return the last line on standard error if it is a hint."""
    last = person.types("watch", "order-1", *words).stderr.splitlines()[-1]
    return last if last.startswith("Read why: ") else ""


@pytest.mark.parametrize("phase", [Phase.FAILED, Phase.ERROR])
def test_the_log_of_the_step_that_failed_is_named(person: Person, phase: Phase) -> None:
    failed(
        person,
        step("all", kind="DAG", phase="Failed"),
        step("fetch"),
        step("store", phase="Error", start=2),
        phase=phase,
    )
    assert hint(person) == "Read why: sluice logs order-1 store"


def test_a_start_says_it_as_well(person: Person) -> None:
    failed(person, step("store", phase="Failed"))
    result = person.types("run", "approval", "--id", "order-1", "--watch")
    assert result.exit_code == 1
    assert result.stderr.endswith("Read why: sluice logs order-1 store\n")
    assert "Read why" not in person.types("run", "approval", "--id", "order-1", "--wait").stderr


@pytest.mark.parametrize("form", ["json", "ndjson", "name"])
def test_programs_get_no_hint(person: Person, form: str) -> None:
    failed(person, step("store", phase="Failed"))
    assert "Read why" not in person.types("watch", "order-1", "-o", form).stderr


@pytest.mark.parametrize(
    ("phase", "steps"),
    [
        (Phase.SUCCEEDED, [step("store", phase="Failed")]),
        (Phase.DELETED, [step("store", phase="Failed")]),
        (Phase.FAILED, [step("all", kind="DAG", phase="Failed"), step("fetch")]),
        (Phase.FAILED, [step("ask", kind="Suspend", phase="Failed")]),
        (Phase.REJECTED, []),
    ],
)
def test_there_is_none_without_a_failed_pod(
    person: Person, phase: Phase, steps: list[Step]
) -> None:
    failed(person, *steps, phase=phase)
    assert hint(person) == ""


def test_a_copy_is_named_by_its_id(person: Person) -> None:
    failed(person, step("count(0:a)", phase="Failed", id_="run-1-27"))
    assert hint(person) == "Read why: sluice logs order-1 run-1-27"


def test_an_id_is_quoted_if_a_shell_needs_that(person: Person) -> None:
    failed(person, step("a b", phase="Failed", id_="$(id)"))
    assert hint(person) == "Read why: sluice logs order-1 '$(id)'"


def test_the_tenant_is_named(person: Person) -> None:
    person.sluice.tenant = "acme"
    failed(person, step("store", phase="Failed"))
    assert hint(person) == "Read why: sluice logs order-1 store --tenant acme"


def test_without_the_gateway_there_are_no_logs(person: Person) -> None:
    failed(person, step("store", phase="Failed"))
    result = with_brokers(Brokers(person.sluice), "watch", "order-1", "--kafka", "localhost:9092")
    assert result.exit_code == 1, result.output
    assert "Read why" not in result.stderr


class Brokers(FakeBrokers):
    """A client over Kafka, whose runs have no logs."""

    def run(self, id: str, *, tenant: str | None = None) -> RunHandle:  # noqa: A002
        return RunOverKafka(self.sluice.run(id, tenant=tenant))


class RunOverKafka(RunHandle):
    """A run over Kafka."""

    def __init__(self, run: RunHandle) -> None:
        super().__init__(RunKey(run.tenant, run.id))
        self._run = run

    async def wait(self, timeout: float | None = None, *, attempt: int = 1) -> Outcome:  # noqa: ASYNC109
        return await self._run.wait(timeout, attempt=attempt)

    def events(self, *, after: str | None = None) -> AsyncGenerator[Event]:
        return self._run.events(after=after)

    async def _command(self, command: CommandType, members: Mapping[str, Any]) -> str:
        raise NotImplementedError


def first_failed(*steps: Step) -> str | None:
    """Return the id of the step that counts as the first one that failed."""
    known = StepsOfRun()
    known.apply(cancelled(by="stop").model_copy(update={"steps": steps}))
    found = known.first_failed()
    return found.step if found else None


def test_the_first_is_the_one_that_ended_first() -> None:
    early = step("a", phase="Failed", start=1).model_copy(
        update={"finished_at": step("end", start=9).started_at}
    )
    late = step("b", phase="Failed", start=2).model_copy(
        update={"finished_at": step("end", start=5).started_at}
    )
    assert first_failed(early, late) == "id-b"
    # Without an end they count last.
    assert first_failed(step("c", phase="Failed"), early) == "id-a"


def test_what_was_made_good_is_not_the_reason() -> None:
    retried = step("flaky", kind="Retry").model_copy(
        update={"children": ("id-flaky(0)", "id-flaky(1)")}
    )
    attempts = step("flaky(0)", phase="Failed", start=1), step("flaky(1)", start=2)
    assert first_failed(retried, *attempts) is None
    assert first_failed(retried, *attempts, step("last", phase="Failed", start=9)) == "id-last"
    # An attempt may have steps of its own, which it contains.
    of_steps = step("flaky(0)", kind="DAG", phase="Failed")
    inside = step("in", phase="Failed").model_copy(update={"boundary": "id-flaky(0)"})
    assert first_failed(retried, of_steps, inside) is None
    assert first_failed(of_steps, inside) == "id-in"


def test_what_contains_itself_is_looked_at_once() -> None:
    twisted = step("a", phase="Failed").model_copy(update={"boundary": "id-a"})
    assert first_failed(twisted) == "id-a"
