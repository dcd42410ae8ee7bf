"""What the client does against a gateway, and what its fake has to do as well.

The suite needs a fixture `stage`: a client, and a way to let things happen to its runs, whose
workflow `greet` has the parameter `name` and whose runs are held.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest
from pydantic import JsonValue

from sluice_client import (
    CountChangedError,
    Event,
    IdConflictError,
    InvalidRequestError,
    NotApplicableError,
    NotFoundError,
    Phase,
    ProblemType,
    RunFailedError,
    RunRequest,
    Sluice,
    WaitTimeoutError,
)
from sluice_contracts.http_documents import IdUse
from sluice_contracts.requests import Command, ResumeCommand, RetryCommand
from sluice_contracts.steps import Step

ADA = {"name": "Ada"}
YEAR = timedelta(days=365)


class Publish(Protocol):
    """Lets something happen to a run; `changes` are members of the event."""

    async def __call__(
        self, run_id: str, phase: Phase, *, tenant: str = "default", **changes: Any
    ) -> None: ...


class Reject(Protocol):
    """Lets a record be a dead letter; returns the letter's id."""

    async def __call__(self, value: str, kind: ProblemType) -> str: ...


class WriteLog(Protocol):
    """Lets a step of a run write lines."""

    async def __call__(self, run_id: str, step: str, *lines: str) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A client, what happens to its runs and records, and the commands that were accepted."""

    sluice: Sluice
    publish: Publish
    reject: Reject
    write_log: WriteLog
    commands: Callable[[], Sequence[Command]]


class ClientPortSuite:
    async def test_a_run_is_accepted_before_anything_happens_to_it(self, stage: Stage) -> None:
        run = await stage.sluice.start("greet", ADA, id="order-1", labels={"team": "billing"})
        state = await run.state()
        assert (run.id, run.tenant) == ("order-1", "default")
        assert (state.phase, state.terminal, state.sequence) == (Phase.ACCEPTED, False, -1)
        assert state.labels == {"team": "billing"}
        assert state.parameters == ADA

    async def test_the_gateway_says_who_asks(self, stage: Stage) -> None:
        identity = await stage.sluice.identity()
        assert identity.kind == "anonymous"
        assert {"runs:start", "runs:read", "admin"} <= set(identity.scopes)

    async def test_a_run_without_an_id_gets_one_of_its_own(self, stage: Stage) -> None:
        runs = [await stage.sluice.start("greet", ADA) for _ in range(2)]
        assert len({run.id for run in runs}) == 2
        assert {(await run.state()).id for run in runs} == {run.id for run in runs}

    async def test_the_same_id_with_the_same_content_is_the_same_run(self, stage: Stage) -> None:
        await stage.sluice.start("greet", ADA, id="order-1")
        again = await stage.sluice.start("greet", ADA, id="order-1", labels={"other": "label"})
        assert again.id == "order-1"
        assert (await stage.sluice.counts()).total == 1

    async def test_a_start_says_whether_the_run_was_there_and_how_it_was(
        self, stage: Stage
    ) -> None:
        first = await stage.sluice.start("greet", ADA, id="order-1")
        assert (first.existed, first.found) == (False, None)
        await stage.publish("order-1", Phase.SUCCEEDED)
        again = await stage.sluice.start("greet", ADA, id="order-1")
        assert again.existed
        assert again.found is not None
        assert again.found.phase is Phase.SUCCEEDED
        child = await again.rerun(id="order-2")
        assert not child.existed
        assert (await again.rerun(id="order-2")).existed

    async def test_the_same_id_with_other_content_is_a_conflict(self, stage: Stage) -> None:
        await stage.sluice.start("greet", ADA, id="order-1")
        with pytest.raises(IdConflictError) as raised:
            await stage.sluice.start("greet", {"name": "Bob"}, id="order-1")
        assert raised.value.problem.type == ProblemType.ID_CONFLICT

    async def test_a_workflow_that_does_not_exist_is_an_invalid_request(self, stage: Stage) -> None:
        with pytest.raises(InvalidRequestError) as raised:
            await stage.sluice.start("nope", ADA)
        assert raised.value.problem.type == ProblemType.UNKNOWN_WORKFLOW

    async def test_the_same_id_of_another_tenant_is_another_run(self, stage: Stage) -> None:
        await stage.sluice.start("greet", ADA, id="order-1")
        other = await stage.sluice.start("greet", {"name": "Bob"}, id="order-1", tenant="acme")
        assert (await other.state()).parameters == {"name": "Bob"}
        assert (await stage.sluice.run("order-1").state()).parameters == ADA

    async def test_a_run_that_does_not_exist_is_not_found(self, stage: Stage) -> None:
        run = stage.sluice.run("order-1")
        with pytest.raises(NotFoundError):
            await run.state()
        with pytest.raises(NotFoundError):
            await run.wait()
        with pytest.raises(NotFoundError):
            await anext(run.events())
        with pytest.raises(NotFoundError):
            await run.stop()

    async def test_a_wait_ends_with_the_run(self, stage: Stage) -> None:
        run = await stage.sluice.start("greet", ADA)
        waiting = asyncio.create_task(run.wait())
        await asyncio.sleep(0)
        await stage.publish(run.id, Phase.RUNNING)
        await stage.publish(run.id, Phase.SUCCEEDED, outputs={"greeting": "Hi"})
        outcome = await waiting
        assert outcome.succeeded
        assert outcome.raise_for_failure().outputs == {"greeting": "Hi"}
        assert (await run.wait()).phase is Phase.SUCCEEDED

    async def test_a_run_that_failed_says_why(self, stage: Stage) -> None:
        run = await stage.sluice.start("greet", ADA, id="order-1")
        await stage.publish(run.id, Phase.FAILED, message="no more paper")
        outcome = await run.wait()
        assert not outcome.succeeded
        with pytest.raises(RunFailedError, match="'order-1' is Failed: no more paper"):
            outcome.raise_for_failure()

    async def test_a_wait_may_be_for_a_later_attempt(self, stage: Stage) -> None:
        run = await stage.sluice.start("greet", ADA)
        await stage.publish(run.id, Phase.FAILED)
        failed = await run.wait()
        with pytest.raises(WaitTimeoutError):
            await run.wait(0, attempt=failed.state.attempt + 1)
        await stage.publish(run.id, Phase.RUNNING, attempt=2)
        await stage.publish(run.id, Phase.SUCCEEDED, attempt=2)
        assert (await run.wait(attempt=2)).succeeded

    async def test_a_wait_has_an_end(self, stage: Stage) -> None:
        run = await stage.sluice.start("greet", ADA, id="order-1")
        with pytest.raises(WaitTimeoutError, match="'order-1' is Accepted"):
            await run.wait(0)

    async def test_events_come_in_order_until_the_run_is_over(self, stage: Stage) -> None:
        run = await stage.sluice.start("greet", ADA)
        await stage.publish(run.id, Phase.RUNNING)
        await stage.publish(run.id, Phase.SUSPENDED)
        await stage.publish(run.id, Phase.SUCCEEDED)
        events = [event async for event in run.events()]
        assert [event.state.phase for event in events] == ["Running", "Suspended", "Succeeded"]
        assert [event.type for event in events] == [
            "sluice.run.running",
            "sluice.run.suspended",
            "sluice.run.succeeded",
        ]

    async def test_events_resume_behind_each_place(self, stage: Stage) -> None:
        run = await stage.sluice.start("greet", ADA)
        for phase in (Phase.RUNNING, Phase.SUSPENDED, Phase.SUCCEEDED):
            await stage.publish(run.id, phase)
        events = [event async for event in run.events()]
        for number, event in enumerate(events, 1):
            assert [each async for each in run.events(after=event.place)] == events[number:]

    async def test_events_come_as_they_happen(self, stage: Stage) -> None:
        run = await stage.sluice.start("greet", ADA)
        await stage.publish(run.id, Phase.RUNNING)
        async with aclosing(run.events()) as events:
            assert (await anext(events)).state.phase is Phase.RUNNING
            following = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            await stage.publish(run.id, Phase.SUCCEEDED)
            assert (await following).state.phase is Phase.SUCCEEDED

    async def test_a_run_that_waits_says_so_before_its_first_event(self, stage: Stage) -> None:
        run = await stage.sluice.start("greet", ADA)
        async with aclosing(run.events()) as events:
            queued = await anext(events)
            assert (queued.type, queued.place) == ("sluice.request.queued", None)
            assert (queued.state.phase, queued.state.run_id) == (Phase.ACCEPTED, run.id)
            assert queued.state.queue is not None
            await stage.publish(run.id, Phase.SUCCEEDED)
            assert [event.state.phase async for event in events] == [Phase.SUCCEEDED]

    async def test_the_events_of_all_runs_resume_behind_each_place(self, stage: Stage) -> None:
        runs = [await stage.sluice.start("greet", ADA) for _ in range(2)]
        async with aclosing(stage.sluice.events(phases=["Running"])) as events:
            first = await self._first(stage, runs[0].id, events)
        for run in runs:
            await stage.publish(run.id, Phase.SUCCEEDED)
        found: list[Event] = []
        async with aclosing(stage.sluice.events(after=first.place)) as events:
            async for event in events:
                if event.state.terminal:
                    found.append(event)
                if len(found) == len(runs):
                    break
        assert {event.state.run_id for event in found} == {run.id for run in runs}
        assert len({event.place for event in found}) == 2

    async def _first(self, stage: Stage, run_id: str, events: Any) -> Event:
        """Give the first event of a stream, which begins at a moment that is not known."""
        first = asyncio.ensure_future(anext(events))
        while not first.done():
            await stage.publish(run_id, Phase.RUNNING)
            await asyncio.sleep(0)
        found: Event = await first
        return found

    async def test_lists_have_each_selected_run_once(self, stage: Stage) -> None:
        for number in range(5):
            await stage.sluice.start(
                "greet", ADA, id=f"order-{number}", labels={"odd": str(number % 2 == 1)}
            )
        await stage.publish("order-3", Phase.SUCCEEDED)
        sluice = stage.sluice
        listed = [run.id async for run in sluice.runs(page_size=2)]
        assert listed == [f"order-{number}" for number in (4, 3, 2, 1, 0)]
        assert [run.id async for run in sluice.runs(labels={"odd": "True"})] == [
            "order-3",
            "order-1",
        ]
        assert [run.id async for run in sluice.runs(without_labels={"odd": "True"}, text="2")] == [
            "order-2"
        ]
        assert [run.phase async for run in sluice.runs(phases=[Phase.SUCCEEDED])] == ["Succeeded"]
        assert [run.id async for run in sluice.runs(tenant="acme")] == []
        counts = await sluice.counts(workflow="greet")
        assert (counts.total, counts.counts) == (5, {"Accepted": 4, "Succeeded": 1})

    async def test_each_of_many_runs_has_a_verdict(self, stage: Stage) -> None:
        await stage.sluice.start("greet", ADA, id="taken")
        items = await stage.sluice.start_many(
            [
                RunRequest(workflow="greet", parameters=ADA),
                RunRequest(workflow="nope", id="order-2"),
                RunRequest(workflow="greet", parameters={"name": "Bob"}, id="taken"),
                RunRequest(workflow="greet", parameters=ADA, id="order-4", tenant="acme"),
            ]
        )
        first, second, third, fourth = items
        assert (await first.raise_for_error().state()).phase is Phase.ACCEPTED
        assert isinstance(second.error, InvalidRequestError)
        assert isinstance(third.error, IdConflictError)
        with pytest.raises(IdConflictError):
            third.raise_for_error()
        assert (fourth.run.tenant, fourth.error) == ("acme", None)

    async def test_commands_are_accepted_with_what_they_say(self, stage: Stage) -> None:
        run = await stage.sluice.start("greet", ADA, id="order-1")
        await stage.publish(run.id, Phase.SUSPENDED)
        places = [
            await run.resume("approve", {"decision": "yes"}, reason="fine"),
            await run.suspend(),
            await run.stop(reason="ordered twice"),
            await run.terminate(),
        ]
        await stage.publish(run.id, Phase.FAILED)
        places.append(await run.retry("count(3)", restart_succeeded=True))
        assert len(set(places)) == 5
        said = [(each.type, each.id, each.reason) for each in stage.commands()]
        assert said == [
            ("resume", "order-1", "fine"),
            ("suspend", "order-1", None),
            ("stop", "order-1", "ordered twice"),
            ("terminate", "order-1", None),
            ("retry", "order-1", None),
        ]
        resume, retry = stage.commands()[0], stage.commands()[-1]
        assert isinstance(resume, ResumeCommand)
        assert (resume.step, resume.values) == ("approve", {"decision": "yes"})
        assert isinstance(retry, RetryCommand)
        assert (retry.step, retry.restart_succeeded) == ("count(3)", True)

    async def test_a_run_that_has_no_workflow_takes_no_command(self, stage: Stage) -> None:
        for run_id, phase in (("order-1", Phase.REJECTED), ("order-2", Phase.SUCCEEDED)):
            await stage.sluice.start("greet", ADA, id=run_id)
            await stage.publish(run_id, phase)
        with pytest.raises(NotApplicableError):
            await stage.sluice.run("order-1").stop()
        items = await stage.sluice.command_all("stop", expect=2, text="order")
        assert [(each.id, each.status, each.phase) for each in items] == [
            ("order-2", 202, Phase.SUCCEEDED),
            ("order-1", 409, None),
        ]
        assert [each.id for each in stage.commands()] == ["order-2"]

    async def test_a_command_to_many_needs_their_number(self, stage: Stage) -> None:
        for number in range(3):
            await stage.sluice.start("greet", ADA, id=f"order-{number}", labels={"team": "a"})
        with pytest.raises(CountChangedError):
            await stage.sluice.command_all("stop", expect=2, labels={"team": "a"})
        assert stage.commands() == []
        items = await stage.sluice.command_all(
            "stop", expect=3, reason="wrong price", labels={"team": "a"}
        )
        assert {item.id for item in items} == {"order-0", "order-1", "order-2"}
        assert {(each.type, each.reason) for each in stage.commands()} == {("stop", "wrong price")}

    async def test_an_answer_is_given_to_many(self, stage: Stage) -> None:
        for number in range(2):
            await stage.sluice.start("greet", ADA, id=f"order-{number}")
            await stage.publish(f"order-{number}", Phase.SUSPENDED)
        await stage.sluice.command_all(
            "resume", expect=2, step="approve", values={"decision": "yes"}, phases="Suspended"
        )
        for command in stage.commands():
            assert isinstance(command, ResumeCommand)
            assert (command.step, command.values) == ("approve", {"decision": "yes"})
        assert len(stage.commands()) == 2

    async def test_a_rerun_is_a_child_with_changed_parameters(self, stage: Stage) -> None:
        run = await stage.sluice.start("greet", {**ADA, "times": 2}, labels={"team": "a"})
        again = await run.rerun(parameters={"name": "Bob"}, labels={"nth": "2"})
        state = await again.state()
        assert again.id != run.id
        assert (state.parent, state.parameters) == (run.id, {"name": "Bob", "times": 2})
        assert state.labels == {"team": "a", "nth": "2"}

    async def test_a_preview_says_what_would_become_of_a_request(self, stage: Stage) -> None:
        sluice = stage.sluice
        assert (await sluice.preview("greet", ADA)).id_use is None
        assert (await sluice.preview("greet", ADA, id="order-1")).id_use is IdUse.FREE
        assert (await sluice.counts()).total == 0
        await sluice.start("greet", ADA, id="order-1")
        assert (await sluice.preview("greet", ADA, id="order-1")).id_use is IdUse.SAME_CONTENT
        other = await sluice.preview("greet", {"name": "Bob"}, id="order-1")
        assert other.id_use is IdUse.OTHER_CONTENT
        with pytest.raises(InvalidRequestError):
            await sluice.preview("nope")

    async def test_the_catalogue_is_shown(self, stage: Stage) -> None:
        assert [each.name for each in await stage.sluice.workflows()] == ["greet"]
        assert (await stage.sluice.workflow("greet")).parameters["type"] == "object"
        with pytest.raises(NotFoundError):
            await stage.sluice.workflow("nope")

    async def test_what_is_paused_or_drained_is_shown_until_it_is_resumed(
        self, stage: Stage
    ) -> None:
        sluice = stage.sluice
        paused = await sluice.pause(workflow="greet", reason="a move")
        assert (paused.kind, paused.name, paused.state) == ("workflow", "greet", "paused")
        await sluice.drain(tenant="acme")
        shown = {(each.kind, each.name): each for each in await sluice.controls()}
        assert {place: each.state for place, each in shown.items()} == {
            ("workflow", "greet"): "paused",
            ("tenant", "acme"): "draining",
        }
        assert shown["workflow", "greet"].reason == "a move"
        await sluice.resume(workflow="greet")
        await sluice.resume(tenant="acme")
        assert await sluice.controls() == ()

    async def test_a_control_is_of_one_workflow_or_of_one_tenant(self, stage: Stage) -> None:
        with pytest.raises(ValueError, match="either a workflow or a tenant to pause"):
            await stage.sluice.pause()
        with pytest.raises(ValueError, match="either a workflow or a tenant to drain"):
            await stage.sluice.drain(workflow="greet", tenant="acme")

    async def test_dead_letters_are_listed_newest_first(self, stage: Stage) -> None:
        letters = stage.sluice.dead_letters
        kinds = (ProblemType.MALFORMED_JSON, ProblemType.UNKNOWN_WORKFLOW)
        ids = [await stage.reject("{", kinds[number % 2]) for number in range(3)]
        await letters.drop(ids[2])
        assert [each.id async for each in letters.list(page_size=2)] == ids[::-1]
        assert [each.id async for each in letters.list(states=["open"])] == [ids[1], ids[0]]
        found = letters.list(reasons=[ProblemType.UNKNOWN_WORKFLOW])
        assert [each.id async for each in found] == [ids[1]]
        assert [each.id async for each in letters.list(tenant="acme")] == []
        assert [each.id async for each in letters.list(since=datetime.now(UTC) + YEAR)] == []
        assert [each.id async for each in letters.list(until=datetime.now(UTC) + YEAR)] == ids[::-1]

    async def test_a_dead_letter_is_shown_with_what_it_holds(self, stage: Stage) -> None:
        letter = await stage.sluice.dead_letters.show(
            await stage.reject("{no", ProblemType.MALFORMED_JSON)
        )
        assert (letter.state, letter.problem.type) == ("open", ProblemType.MALFORMED_JSON)
        assert letter.payload is not None
        assert letter.payload.value is not None
        assert (letter.payload.value.data, letter.size) == ("{no", 3)

    async def test_a_replay_starts_a_run_with_what_takes_the_place_of_the_record(
        self, stage: Stage
    ) -> None:
        letters = stage.sluice.dead_letters
        letter = await stage.reject("{no", ProblemType.MALFORMED_JSON)
        with pytest.raises(InvalidRequestError):
            await letters.replay(letter)
        assert (await letters.show(letter)).state == "open"
        value: dict[str, JsonValue] = {"workflow": "greet", "parameters": {"name": "Ada"}}
        replayed = await letters.replay(letter, value=value, reason="a typo")
        assert (replayed.id, replayed.state) == (letter, "replayed")
        assert replayed.decision is not None
        assert replayed.decision.reason == "a typo"
        run = replayed.decision.run
        assert run is not None
        assert (await stage.sluice.run(run.id, tenant=run.tenant).state()).parameters == ADA
        with pytest.raises(NotApplicableError):
            await letters.replay(letter)

    async def test_a_replay_takes_the_record_as_it_is(self, stage: Stage) -> None:
        record = '{"workflow": "greet", "parameters": {"name": "Ada"}}'
        letter = await stage.reject(record, ProblemType.UNKNOWN_WORKFLOW)
        replayed = await stage.sluice.dead_letters.replay(letter)
        assert replayed.decision is not None
        assert replayed.decision.run is not None
        assert (await stage.sluice.run(replayed.decision.run.id).state()).parameters == ADA

    async def test_a_dropped_letter_can_be_read_and_not_be_replayed(self, stage: Stage) -> None:
        letters = stage.sluice.dead_letters
        letter = await stage.reject("{no", ProblemType.MALFORMED_JSON)
        assert (await letters.drop(letter, reason="a test")).state == "dropped"
        shown = await letters.show(letter)
        assert shown.decision is not None
        assert (shown.decision.reason, shown.decision.run) == ("a test", None)
        with pytest.raises(NotApplicableError):
            await letters.drop(letter)
        with pytest.raises(NotApplicableError):
            await letters.replay(letter)

    async def test_a_dead_letter_that_does_not_exist_is_not_found(self, stage: Stage) -> None:
        letters = stage.sluice.dead_letters
        for letter in ("0-4711", "../runs"):
            with pytest.raises(NotFoundError):
                await letters.show(letter)
            with pytest.raises(NotFoundError):
                await letters.replay(letter)
            with pytest.raises(NotFoundError):
                await letters.drop(letter)

    @pytest.mark.parametrize("run_id", ["", "../x", "ä", "x" * 129])
    async def test_what_can_be_no_id_is_refused_before_it_is_sent(
        self, stage: Stage, run_id: str
    ) -> None:
        with pytest.raises(InvalidRequestError):
            stage.sluice.run(run_id)
        if run_id:
            with pytest.raises(InvalidRequestError):
                await stage.sluice.start("greet", ADA, id=run_id)

    async def test_a_log_is_read_whole_from_its_end_and_behind_a_line(self, stage: Stage) -> None:
        run = await stage.sluice.start("greet", ADA)
        await stage.write_log(run.id, "say hello", "a", "b", "c")
        lines = [each async for each in run.logs("say hello")]
        assert [str(each) for each in lines] == ["a", "b", "c"]
        for number, each in enumerate(lines, 1):
            behind = [line async for line in run.logs("say hello", after=each.place)]
            assert behind == lines[number:]
        assert [each.text async for each in run.logs("say hello", tail=1)] == ["c"]

    async def test_a_step_that_does_not_exist_has_no_log(self, stage: Stage) -> None:
        run = await stage.sluice.start("greet", ADA)
        for each in (run, stage.sluice.run("another")):
            with pytest.raises(NotFoundError):
                await anext(each.logs("nothing"))

    async def test_a_step_without_a_pod_has_no_log_and_says_why(self, stage: Stage) -> None:
        run = await stage.sluice.start("greet", ADA)
        steps = (
            Step(id="order-1-1", name="all", type="DAG", phase="Running"),
            Step(id="order-1-2", name="late", type="Pod", phase="Omitted"),
            Step(id="order-1-3", name="twin", type="Pod", phase="Running"),
            Step(id="order-1-4", name="twin", type="Pod", phase="Running"),
        )
        await stage.publish(run.id, Phase.RUNNING, steps=steps, namespace="argo", uid="u")
        for name in ("all", "late", "twin"):
            with pytest.raises(NotApplicableError):
                await anext(run.logs(name))
        assert [each async for each in run.logs("order-1-3")] == []
