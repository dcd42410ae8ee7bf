"""The client without `await` has the same methods, and does the same."""

import inspect
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import sluice_client
from sluice_client import NotFoundError, Phase, RunRequest, SluiceError, sync
from sluice_client.fake import FakeSluice
from tests.behaviour.client_port import ADA

# Opened and closed in another way.
_ELSEWHERE = {"__aenter__", "__aexit__", "close"}


@pytest.fixture
def fake() -> FakeSluice:
    return FakeSluice({"greet": lambda parameters: {"greeting": f"Hi {parameters['name']}"}})


@pytest.fixture
def sluice(fake: FakeSluice) -> Iterator[sync.Sluice]:
    with sync.Sluice.of(fake) as opened:
        yield opened


@pytest.mark.parametrize(
    ("asynchronous", "synchronous"),
    [
        (sluice_client.Sluice, sync.Sluice),
        (sluice_client.Run, sync.Run),
        (sluice_client.Item, sync.Item),
        (sluice_client.DeadLetters, sync.DeadLetters),
    ],
    ids=["Sluice", "Run", "Item", "DeadLetters"],
)
def test_the_methods_and_their_arguments_are_the_same(
    asynchronous: type, synchronous: type
) -> None:
    def public(kind: type) -> dict[str, list[tuple[str, object, object]]]:
        return {
            name: [
                (each.name, each.kind, each.default)
                for each in inspect.signature(value).parameters.values()
            ]
            for name, value in inspect.getmembers(kind)
            if callable(value) and not name.startswith("_")
        }

    found = public(synchronous)
    found.pop("of", None)
    assert found == public(asynchronous)


def test_a_run_is_started_waited_for_and_followed(sluice: sync.Sluice) -> None:
    run = sluice.start("greet", ADA, id="order-1")
    assert run.wait().raise_for_failure().outputs == {"greeting": "Hi Ada"}
    assert [event.state.phase for event in run.events()] == [Phase.RUNNING, Phase.SUCCEEDED]
    assert sluice.run("order-1").state().phase is Phase.SUCCEEDED
    assert run.rerun(parameters={"name": "Bob"}).wait().outputs == {"greeting": "Hi Bob"}
    assert [each.id for each in sluice.runs(text="order-1")] == ["order-1"]
    assert sluice.counts().total == 2
    [item] = sluice.start_many([RunRequest(workflow="greet", parameters=ADA)])
    assert item.raise_for_error().wait().succeeded


def test_dead_letters_are_listed_and_decided(fake: FakeSluice, sluice: sync.Sluice) -> None:
    ids = [fake.reject("{no"), fake.reject("{no")]
    letters = sluice.dead_letters
    assert [each.id for each in letters.list()] == ids[::-1]
    assert letters.show(ids[0]).state == "open"
    value = {"workflow": "greet", "parameters": ADA}
    assert letters.replay(ids[0], value=value).state == "replayed"
    assert letters.drop(ids[1], reason="a test").state == "dropped"


def test_an_error_is_raised_where_the_call_is(sluice: sync.Sluice) -> None:
    with pytest.raises(NotFoundError):
        sluice.run("order-1").state()


def test_what_happens_is_seen_from_another_thread() -> None:
    held = FakeSluice()
    with sync.Sluice.of(held) as sluice:
        run = sluice.start("anything")
        held.publish(run.id, Phase.RUNNING)
        events = run.events()
        assert next(events).state.phase is Phase.RUNNING
        held.publish(run.id, Phase.SUCCEEDED)
        assert [event.state.phase for event in events] == [Phase.SUCCEEDED]


def test_a_closed_client_says_so() -> None:
    sluice = sync.Sluice.of(FakeSluice())
    run = sluice.start("anything")
    sluice.close()
    sluice.close()
    with pytest.raises(SluiceError, match="The client is closed"):
        sluice.counts()
    with pytest.raises(SluiceError, match="The client is closed"):
        next(run.events())


def test_a_call_that_waits_ends_when_the_client_is_closed() -> None:
    fake = FakeSluice()
    sluice = sync.Sluice.of(fake)
    run = sluice.start("anything")
    fake.publish(run.id, Phase.RUNNING)
    events = run.events()
    next(events)
    errors: list[SluiceError] = []

    def wait() -> None:
        try:
            next(events)
        except SluiceError as e:
            errors.append(e)

    waiting = threading.Thread(target=wait)
    waiting.start()
    sluice.close()
    waiting.join()
    assert [str(each).rpartition(" ")[0] for each in errors] in (
        ["The client was closed"],
        ["The client is"],
    )


def test_a_call_in_the_thread_of_the_loop_does_not_wait_for_itself() -> None:
    def behaviour(_: Mapping[str, Any]) -> Mapping[str, Any]:
        opened.counts()
        return {}

    with sync.Sluice.of(FakeSluice({"greet": behaviour})) as opened:
        outcome = opened.start("greet").wait()
    assert "would wait for itself" in str(outcome.state.message)


def test_a_stream_that_is_left_is_closed(sluice: sync.Sluice) -> None:
    run = sluice.start("greet", ADA)
    for event in run.events():
        assert event.state.phase is Phase.RUNNING
        break
    assert run.state().terminal
