"""The projection of records into the view: idempotent, in whatever order records are delivered."""

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_contracts.ids import RunKey
from sluice_contracts.notices import RefusalNotice
from sluice_contracts.problems import ProblemType, problem
from sluice_contracts.record_origins import RecordOrigins
from sluice_contracts.records import IncomingRecord, OutgoingRecord, Position
from sluice_contracts.request_codec import encode_request
from sluice_contracts.requests import Command, RunRequest
from sluice_contracts.status import Phase, StatusEvent
from sluice_contracts.status_codec import PublishedEvent, decode_status, encode_notice
from sluice_contracts.steps import Step
from sluice_gateway.adapters.run_view.projection import view_projection
from sluice_gateway.adapters.run_view.schema import TABLES
from sluice_gateway.domain.models import AcceptedRun
from sluice_gateway.domain.run_changes import RequestChange, RunChange
from tests.unit.gateway.harness import (
    NOW,
    SETS,
    TOPICS,
    TRACEPARENT,
    keeps_parameters,
    published,
    read_back,
    status_record,
    step,
)

PROJECTION = view_projection(
    RecordOrigins(SETS),
    keeps_parameters=keeps_parameters,
    history=timedelta(0),
    now=lambda: NOW,
)
KEY = RunKey("default", "order-1")


class View:
    """The view's tables, in memory."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:")
        self.connection.executescript(TABLES)

    def project(self, records: Iterable[IncomingRecord]) -> "View":
        decoded = [PROJECTION.decode(record) for record in records]
        self.write([change for change in decoded if change is not None])
        return self

    def write(self, changes: Sequence[RunChange]) -> None:
        PROJECTION.write(self.connection, changes)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Give a table's rows without the numbers of runs, which come as the runs come."""
        # Steps have an order of their own, within their run.
        order = {"steps": "parts.rowid", "events": "sequence"}.get(table, "1")
        sql = f"""
            SELECT owners.tenant, owners.run_id, parts.* FROM {table} AS parts
            JOIN runs AS owners USING (number)
            ORDER BY owners.tenant, owners.run_id, {order}
        """  # noqa: S608
        cursor = self.connection.execute(sql)
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor]
        return [{name: row[name] for name in row if name != "number"} for row in rows]

    def contents(self) -> dict[str, list[dict[str, Any]]]:
        return {table: self.rows(table) for table in ("runs", "events", "steps", "parameters")}

    def events_of(self, run_id: str) -> list[dict[str, Any]]:
        return [row for row in self.rows("events") if row["run_id"] == run_id]

    def run_of(self, key: RunKey = KEY) -> dict[str, Any]:
        [run] = [row for row in self.rows("runs") if (row["tenant"], row["run_id"]) == key]
        return run


def noted_at_once(run: AcceptedRun) -> RequestChange:
    return RequestChange.of_accepted(run, topics=SETS, keeps_parameters=keeps_parameters)


def request_record(
    offset: int, *, run_id: str = "order-1", name: str = "Ada", partition: int = 0
) -> IncomingRecord:
    request = RunRequest(id=run_id, workflow="greet", parameters={"name": name})
    key = RunKey("default", run_id)
    record = encode_request(
        request, key=key, source="/test", event_id="e", time=NOW, traceparent=TRACEPARENT
    )
    return read_back(record, Position(TOPICS.requests, partition, offset))


run_ids = st.sampled_from(["a", "b"])
phases = st.sampled_from(
    [Phase.SUBMITTED, Phase.RUNNING, Phase.SUSPENDED, Phase.SUCCEEDED, Phase.FAILED]
)
steps = st.lists(
    st.builds(step, st.sampled_from("xyz"), st.sampled_from(["Running", "Succeeded"])),
    max_size=3,
    unique_by=lambda each: each.id,
).map(tuple)
events = st.builds(
    published,
    st.integers(0, 12),
    phases,
    run_id=run_ids,
    steps=steps,
    fingerprint=st.sampled_from([None, "f", "g"]),
)


@st.composite
def topics(draw: st.DrawFn) -> tuple[list[IncomingRecord], list[IncomingRecord]]:
    """Records as they stand on the request topic and on the status topic, late copies included."""
    requests = [
        request_record(offset, run_id=draw(run_ids), name=draw(st.sampled_from("AB")))
        for offset in range(draw(st.integers(0, 5)))
    ]
    status = [
        status_record(draw(events), offset=offset) for offset in range(draw(st.integers(0, 12)))
    ]
    return requests, status


@settings(max_examples=40)
@given(topics(), st.data())
def test_the_view_does_not_depend_on_how_the_topics_are_interleaved(
    read: tuple[list[IncomingRecord], list[IncomingRecord]], data: st.DataObject
) -> None:
    requests, status = read
    straight = View().project(requests + status)
    mixed: list[IncomingRecord] = []
    left, right = list(requests), list(status)
    while left or right:
        from_left = bool(left) and (not right or data.draw(st.booleans()))
        mixed.append((left if from_left else right).pop(0))

    assert View().project(mixed).contents() == straight.contents()


@settings(max_examples=40)
@given(topics(), st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), max_size=5))
def test_reading_again_from_an_earlier_offset_changes_nothing(
    read: tuple[list[IncomingRecord], list[IncomingRecord]], crashes: list[tuple[int, int]]
) -> None:
    records = read[0] + read[1]
    view = View()
    at = 0
    for onward, back in crashes:
        view.project(records[at : at + onward])
        at = max(0, min(at + onward, len(records)) - back)
    view.project(records[at:])

    assert view.contents() == View().project(records).contents()


@settings(max_examples=40)
@given(topics())
def test_a_run_is_its_event_of_the_highest_sequence(
    read: tuple[list[IncomingRecord], list[IncomingRecord]],
) -> None:
    view = View().project(read[1])
    decoded = [decode_status(record) for record in read[1]]
    seen = [each for each in decoded if isinstance(each, PublishedEvent)]
    for run_id in {each.event.run_id for each in seen}:
        latest = -1
        projected: list[PublishedEvent] = []
        for each in seen:
            if each.event.run_id == run_id and each.event.sequence > latest:
                latest = each.event.sequence
                projected.append(each)
        run = view.run_of(RunKey("default", run_id))
        assert (run["sequence"], run["phase"]) == (latest, projected[-1].event.phase)
        kept = [row["sequence"] for row in view.events_of(run_id)]
        assert kept == [each.event.sequence for each in projected]


@given(st.permutations(range(4)))
def test_the_first_request_on_the_topic_names_the_content(order: list[int]) -> None:
    records = [request_record(offset, name=name) for offset, name in enumerate("ABCD")]
    first = View().project(records).run_of()

    assert View().project(records[index] for index in order).run_of() == first
    assert first["request_offset"] == 0


def test_a_run_noted_at_once_equals_the_projection_of_its_record() -> None:
    record = request_record(7)
    projected = View().project([record])
    request = RunRequest(id="order-1", workflow="greet", parameters={"name": "Ada"})
    noted = View()
    change = noted_at_once(
        AcceptedRun(
            key=KEY,
            workflow="greet",
            fingerprint=request.fingerprint,
            partition=0,
            offset=7,
            accepted_at=datetime.fromtimestamp(record.timestamp_ms / 1000, tz=UTC),
            parameters=request.content().parameters,
        )
    )
    noted.write([change])

    assert noted.run_of()["phase"] == "Accepted"
    assert noted.contents() == projected.contents()
    assert noted.project([record]).contents() == projected.contents()
    # The record may also be projected before the gateway notes the run.
    projected.write([change])
    assert noted.contents() == projected.contents()


def test_a_note_of_a_later_request_changes_nothing() -> None:
    view = View().project([request_record(3)])
    before = view.contents()
    late = AcceptedRun(
        key=KEY,
        workflow="other",
        fingerprint="f",
        partition=0,
        offset=9,
        accepted_at=NOW + timedelta(seconds=1),
    )
    view.write([noted_at_once(late)])

    assert view.contents() == before


def test_records_of_no_run_leave_no_trace() -> None:
    command = Command(type="stop", id="order-1")
    written = encode_request(
        command, key=KEY, source="/test", event_id="e", time=NOW, traceparent=TRACEPARENT
    )
    notice = RefusalNotice(
        event_id="e",
        run_id="order-1",
        tenant="default",
        request="requests/0@1",
        problem=problem(ProblemType.ID_CONFLICT, "Taken."),
        observed_at=NOW,
    )
    garbage = OutgoingRecord(key=None, value=b"{")
    view = View().project(
        [
            read_back(written, Position(TOPICS.requests, 0, 0)),
            read_back(garbage, Position(TOPICS.requests, 0, 1)),
            read_back(OutgoingRecord(key=b"k", value=None), Position(TOPICS.requests, 0, 2)),
            read_back(garbage, Position(TOPICS.status, 0, 0)),
            read_back(
                encode_notice(notice, source="/test", traceparent=None),
                Position(TOPICS.status, 0, 1),
            ),
        ]
    )

    assert not any(view.contents().values())


def test_a_refused_request_does_not_touch_the_run() -> None:
    mine = request_record(0, name="Ada")
    theirs = request_record(1, name="Bob")
    view = View().project([mine, status_record(published(3, fingerprint="f"), offset=0)])
    before = view.contents()

    assert view.project([theirs]).contents() == before


def test_the_status_has_the_last_word_on_the_content() -> None:
    view = View().project(
        [
            request_record(0),
            status_record(published(3, fingerprint="of the run"), offset=0),
            status_record(published(4, fingerprint=None), offset=1),
        ]
    )

    assert view.run_of()["status_fingerprint"] == "of the run"


def test_steps_keep_their_order_of_appearance() -> None:
    view = View().project(
        [
            status_record(published(1, steps=(step("b"), step("a"))), offset=0),
            status_record(published(2, steps=(step("c"), step("b", "Succeeded"))), offset=1),
        ]
    )

    assert [row["step_id"] for row in view.rows("steps")] == ["node-b", "node-a", "node-c"]


@pytest.mark.parametrize("first_of_the_retry", [(step("a"),), ()])
def test_a_retry_forgets_the_steps_that_failed(first_of_the_retry: tuple[Step, ...]) -> None:
    failed = (step("a"), step("b", "Failed"))
    view = View().project(
        [
            status_record(published(1, Phase.FAILED, steps=failed), offset=0),
            status_record(published(2, attempt=2, steps=first_of_the_retry), offset=1),
            status_record(published(3, attempt=2, steps=(step("c"),)), offset=2),
        ]
    )
    kept = [f"node-{each.name}" for each in first_of_the_retry]
    assert [row["step_id"] for row in view.rows("steps")] == [*kept, "node-c"]


def test_text_comes_through_exactly() -> None:
    text = "{{workflow.name}} \"quotes\" \n\r\x00 \u2028 🌊 'single'"
    event = published(1, message=text, steps=(step(text),), outputs={text: text})
    view = View().project([status_record(event, offset=0)])

    [row] = view.rows("events")
    assert StatusEvent.model_validate_json(row["event"]) == event.event
    assert "\n" not in row["event"]
    assert "\r" not in row["event"]
    [row] = view.rows("steps")
    assert Step.model_validate_json(row["step"]) == event.event.steps[0]
