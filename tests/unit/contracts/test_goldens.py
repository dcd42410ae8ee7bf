"""Every message on the wire: a change here is a change of the contract."""

from datetime import timedelta

import pytest

from sluice_contracts.dead_letters import LetterDecision, encode_dead_letter, encode_decision
from sluice_contracts.problems import FieldError, ProblemType, problem
from sluice_contracts.records import IncomingRecord, Position
from sluice_contracts.request_codec import encode_request
from sluice_contracts.requests import COMMANDS, Command, CommandType, RunRequest
from sluice_contracts.status import Phase
from sluice_contracts.status_codec import encode_notice, encode_status
from tests.support.goldens import Golden

from .messages import KEY, MOMENT, TRACEPARENT, on_paper, published, refusal

_ON_TOPICS = [phase for phase in Phase if phase is not Phase.ACCEPTED]


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("run", RunRequest(id=KEY.run_id, workflow="hello", parameters={"name": "Ada ✓"})),
        (
            "run-with-everything",
            RunRequest(
                id=KEY.run_id,
                workflow="map-reduce",
                parameters={"workers": 3, "text": 'a "b"\n{{workflow.name}}'},
                tenant="team-1",
                expires_at=MOMENT + timedelta(hours=1),
            ),
        ),
    ],
)
def test_a_request_for_a_run(name: str, request_: RunRequest, golden: Golden) -> None:
    _request(name, request_, golden)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command(command: CommandType, golden: Golden) -> None:
    _request(command, Command(type=command, id=KEY.run_id), golden)


def _request(name: str, request: RunRequest | Command, golden: Golden) -> None:
    key = KEY._replace(tenant=request.tenant)
    written = encode_request(
        request,
        key=key,
        source="/sluice/gateway",
        event_id="1f0e3dad99908345f7439f8ffabdffc4",
        time=MOMENT,
        traceparent=TRACEPARENT,
    )
    golden(f"contracts/requests/{name}.txt", on_paper(written))


@pytest.mark.parametrize("phase", _ON_TOPICS)
def test_a_status_event(phase: Phase, golden: Golden) -> None:
    source = (
        "/sluice/dispatcher"
        if phase in (Phase.REJECTED, Phase.EXPIRED)
        else "/sluice/status-watcher"
    )
    written = encode_status(published(phase), source=source)
    golden(f"contracts/status/{phase.lower()}.txt", on_paper(written))


def test_a_refusal_notice(golden: Golden) -> None:
    written = encode_notice(refusal(), source="/sluice/dispatcher", traceparent=TRACEPARENT)
    golden("contracts/refusal-notice.txt", on_paper(written))


def test_a_problem(golden: Golden) -> None:
    document = problem(
        ProblemType.INVALID_PARAMETERS,
        "The parameters do not fit the workflow map-reduce.",
        errors=(FieldError(pointer="/parameters/workers", detail="Input should be at most 50"),),
    ).model_copy(
        update={
            "instance": "/v1/runs/order-4711",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        }
    )
    text = document.model_dump_json(indent=2, exclude_none=True)
    golden("contracts/problem.json", text + "\n")


def test_a_dead_letter(golden: Golden) -> None:
    record = IncomingRecord(
        position=Position("sluice.requests", 3, 42),
        timestamp_ms=1_796_117_400_000,
        key=b"order-4711",
        value=b'{"workflow": "hello", "id": "order-4711", "colour": "\xff"}',
        headers=(("traceparent", TRACEPARENT.encode()), ("sender", b"\x00\xff")),
    )
    broken = problem(ProblemType.MALFORMED_JSON, "The value is not UTF-8 (byte 53).")
    golden("contracts/dead-letter.txt", on_paper(encode_dead_letter(record, broken, key=KEY)))


def test_a_decision_about_a_dead_letter(golden: Golden) -> None:
    position = Position("sluice.requests.dlq", 3, 17)
    decision = LetterDecision(
        letter=str(position),
        decision="replayed",
        by="user:ada",
        at=MOMENT,
        reason="The workflow is in the catalogue now.",
        run="default/r-4q2hcnyvzqjtkxwmdh2yg5bxre",
    )
    written = encode_decision(decision, source="/sluice/gateway")
    golden("contracts/dead-letter-decision.txt", on_paper(written))
