"""Many runs: few requests, and what failed for a time once more."""

import json
from typing import Any

from sluice_client import Retries, RunRequest, UnavailableError, UnreachableError
from sluice_client.batches import start_many
from sluice_client.calling import Caller
from sluice_client.tokens import TokenSource
from sluice_client.transport import Answer, Call, NotSentError
from sluice_contracts.problems import ProblemType, problem
from sluice_contracts.strict_json import MAX_VALUES
from tests.unit.client.scripted import Clock, ScriptedTransport, answer

OUTAGE = problem(ProblemType.UNAVAILABLE, "Later.").model_dump(mode="json")
LINKS = {"self": "/", "events": "/"}


class BatchTransport(ScriptedTransport):
    """Accepts every item, but those of which the next answers say that they have this problem."""

    def __init__(self, *refused: set[int]) -> None:
        super().__init__([answer()])
        self.refused = list(refused)

    async def send(self, call: Call, *, token: str | None, within: float) -> Answer:
        await super().send(call, token=token, within=within)
        refused = self.refused.pop(0) if self.refused else set()
        items = [
            {
                "id": line["id"],
                "tenant": line["tenant"],
                "status": 503 if number in refused else 202,
                "phase": None if number in refused else "Accepted",
                "problem": OUTAGE if number in refused else None,
                "links": None if number in refused else LINKS,
            }
            for number, line in enumerate(lines(call))
        ]
        return answer(207 if refused else 200, {"items": items}, Retry_After="3")


def lines(call: Call) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (call.body or b"").splitlines()]


def caller_of(transport: ScriptedTransport, clock: Clock) -> Caller:
    return Caller(
        transport,
        tokens=TokenSource(None),
        retries=Retries(within=10.0, first_pause=1.0, chance=lambda: 1.0),
        clock=clock,
        sleep=clock.sleep,
    )


def requests(count: int, **parameters: Any) -> list[RunRequest]:
    return [RunRequest(workflow="greet", parameters=parameters) for _ in range(count)]


async def test_items_that_failed_for_the_moment_are_repeated_with_their_ids() -> None:
    transport, clock = BatchTransport({1, 3}, {0}), Clock()
    items = await start_many(caller_of(transport, clock), requests(4), tenant="acme")
    sent = [[line["id"] for line in lines(call)] for call in transport.calls]
    assert sent[1:] == [[sent[0][1], sent[0][3]], [sent[0][1]]]
    assert [item.run.id for item in items] == sent[0]
    assert [item.error for item in items] == [None] * 4
    assert {item.run.tenant for item in items} == {"acme"}
    assert all(pause >= 3 for pause in clock.pauses)


async def test_what_fails_for_too_long_is_said_of_each_item() -> None:
    transport, clock = BatchTransport(*[{0}] * 100), Clock()
    [first, second] = await start_many(caller_of(transport, clock), requests(2), tenant="a")
    assert isinstance(first.error, UnavailableError)
    assert second.error is None
    assert clock.now <= 10


async def test_an_outage_is_said_of_each_item() -> None:
    transport, clock = ScriptedTransport([NotSentError("refused")]), Clock()
    items = await start_many(caller_of(transport, clock), requests(2), tenant="a")
    assert [type(item.error) for item in items] == [UnreachableError] * 2


async def test_a_request_has_as_much_as_the_gateway_takes() -> None:
    for parameters, count, sizes in (
        ({}, 1200, [500, 500, 200]),
        ({"text": "a" * 700_000}, 5, [2, 2, 1]),
        ({"many": [1] * (MAX_VALUES // 2)}, 3, [1, 1, 1]),
        ({"text": "a" * 2_000_000}, 2, [1, 1]),
    ):
        transport = BatchTransport()
        caller = caller_of(transport, Clock())
        await start_many(caller, requests(count, **parameters), tenant="a")
        assert [len(lines(call)) for call in transport.calls] == sizes


async def test_nothing_is_sent_for_no_request() -> None:
    transport = BatchTransport()
    assert await start_many(caller_of(transport, Clock()), [], tenant="a") == []
    assert transport.calls == []
