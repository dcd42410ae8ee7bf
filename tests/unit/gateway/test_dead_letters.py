"""Which dead letters are remembered, listed, and to whom they may concern."""

import json
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_contracts.dead_letters import LetterDecision, encode_dead_letter, encode_decision
from sluice_contracts.ids import RunKey
from sluice_contracts.problems import ProblemType, problem
from sluice_contracts.records import IncomingRecord, OutgoingRecord, Position
from sluice_contracts.topic_sets import Door, TopicSets
from sluice_gateway.adapters.dead_letters.store import DeadLetterStore
from sluice_gateway.domain.dead_letters import (
    DeadLetters,
    Letter,
    LetterFilter,
    LetterId,
    LetterPlace,
)
from sluice_gateway.domain.reach import ANY, Area, Reach
from sluice_gateway.domain.run_query import InvalidCursorError
from tests.support.projections import apply

SETS = TopicSets(
    doors=[
        Door(name="globex", tenants=("globex",)),
        Door(name="both", tenants=("a", "b")),
        Door(name="closed", tenants=()),
    ]
)
DLQ = SETS.default.topics.dlq
NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


def reach(*tenants: str, workflow: str = ANY) -> Reach:
    return Reach.of(
        [Area(tenants=frozenset(tenants), workflows=frozenset({workflow}))] if tenants else []
    )


EVERYTHING = reach(ANY)


def letter(
    position: Position,
    *,
    at_ms: int = NOW_MS,
    reason: ProblemType = ProblemType.MALFORMED_JSON,
    run: RunKey | None = None,
    value: bytes | None = b"{",
) -> IncomingRecord:
    """Return a dead letter as it is read."""
    received = IncomingRecord(
        position=Position("sluice.requests", 2, 40), timestamp_ms=5, key=b"k", value=value
    )
    return _read(encode_dead_letter(received, problem(reason, "No."), key=run), position, at_ms)


def decided(
    letter_at: Position, position: Position, decision: str = "dropped", *, by: str = "user:ada"
) -> IncomingRecord:
    """Return a decision as it is read."""
    made = LetterDecision.model_validate(
        {"letter": str(letter_at), "decision": decision, "by": by, "at": NOW}
    )
    return _read(encode_decision(made, source="/test"), position, NOW_MS)


def _read(written: OutgoingRecord, position: Position, at_ms: int) -> IncomingRecord:
    return IncomingRecord(
        position=position,
        timestamp_ms=at_ms,
        key=written.key,
        value=written.value,
        headers=written.headers,
    )


async def remembered(*records: IncomingRecord, most: int = 1000) -> DeadLetters:
    letters = DeadLetters(topics=SETS, most=most)
    await apply(DeadLetterStore(letters), records)
    return letters


def ids(letters: DeadLetters, within: Reach = EVERYTHING, **query: object) -> list[str]:
    found = LetterFilter(within=within, **query)  # type: ignore[arg-type]
    return [str(each.id) for each in letters.list(found, before=None, limit=500).letters]


def only(letters: DeadLetters) -> Letter:
    [found] = letters.list(LetterFilter(within=EVERYTHING), before=None, limit=2).letters
    return found


class Step(NamedTuple):
    """A record of the model: a letter, or a decision about one that stands before it."""

    partition: int
    about: int | None
    decision: str


STEPS = st.lists(
    st.builds(
        Step,
        partition=st.integers(0, 2),
        about=st.none() | st.integers(0, 6),
        decision=st.sampled_from(["dropped", "replayed"]),
    ),
    max_size=40,
)


@given(
    steps=STEPS,
    first_read=st.integers(0, 40),
    order=st.randoms(use_true_random=False),
    at_once=st.booleans(),
)
async def test_what_is_known_depends_on_the_topics_alone(
    steps: list[Step], first_read: int, order: object, at_once: bool
) -> None:
    """Not on how partitions interleave, when the gateway began, or what it knew at once."""
    share, partitions = 5, 3
    logs: dict[int, list[IncomingRecord]] = {number: [] for number in range(partitions)}
    for step in steps:
        log = logs[step.partition]
        here = Position(DLQ, step.partition, len(log))
        about = None if step.about is None else Position(DLQ, step.partition, step.about)
        if about is not None and about < here:
            log.append(decided(about, here, step.decision, by=f"user:{here.offset}"))
        else:
            log.append(letter(here, at_ms=NOW_MS + here.offset % 3))

    model: dict[str, tuple[str, str | None]] = {}
    for number, log in logs.items():
        for record in log[-share:]:
            if record.value != b"{":
                continue
            offset = record.position.offset
            about_it = [
                json.loads(each.value or b"")
                for each in log[offset + 1 :]
                if each.key == str(record.position).encode()
            ]
            # A replay counts more, then the first one.
            about_it.sort(key=lambda each: each["decision"] != "replayed")
            first = about_it[0] if about_it else None
            model[f"{number}-{offset}"] = (
                ("open", None) if first is None else (first["decision"], first["by"])
            )

    letters = DeadLetters(topics=SETS, most=share * partitions)
    store = DeadLetterStore(letters)
    await store.expire({(DLQ, number): 0 for number in logs})
    waiting = {
        number: log[max(0, min(first_read, len(log) - share)) :] for number, log in logs.items()
    }
    while any(waiting.values()):
        number = order.choice([each for each, log in waiting.items() if log])  # type: ignore[attr-defined]
        await apply(store, waiting[number][:1])
        del waiting[number][0]
        if at_once:
            # This gateway has written the next record, and does not wait until it is read.
            for each in waiting[number][:1]:
                if each.value != b"{":
                    made = LetterDecision.model_validate_json(each.value or b"")
                    offset = each.position.offset
                    letters.decide(Position.parse(made.letter), made, offset=offset)

    page = letters.list(LetterFilter(within=EVERYTHING), before=None, limit=500)
    assert {
        str(each.id): (each.state, each.decision.by if each.decision else None)
        for each in page.letters
    } == model
    assert letters.open_on(DLQ) == sum(state == "open" for state, _ in model.values())
    places = [each.place for each in page.letters]
    assert places == sorted(places, reverse=True)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=30), st.integers(1, 5))
async def test_a_list_that_is_read_in_parts_has_each_letter_once(
    written: list[tuple[int, int]], limit: int
) -> None:
    records: list[IncomingRecord] = []
    for partition, at_ms in written:
        offset = sum(each.position.partition == partition for each in records)
        records.append(letter(Position(DLQ, partition, offset), at_ms=at_ms))
    letters = await remembered(*records)
    everything = LetterFilter(within=EVERYTHING)
    whole = letters.list(everything, before=None, limit=500)
    assert len(whole.letters) == len(written)
    found: list[Letter] = []
    place: LetterPlace | None = None
    while True:
        page = letters.list(everything, before=place, limit=limit)
        found += page.letters
        if page.next is None:
            break
        place = LetterPlace.parse(str(page.next))
    assert tuple(found) == whole.letters


async def test_a_letter_has_what_a_list_shows() -> None:
    position = Position(SETS.of_tenant("globex").topics.dlq, 3, 17)
    found = only(await remembered(letter(position, value=b"{" * 20)))
    assert found == Letter(
        id=LetterId("globex", 3, 17),
        position=position,
        at_ms=NOW_MS,
        reason=ProblemType.MALFORMED_JSON,
        detail="No.",
        received=Position("sluice.requests", 2, 40),
        received_ms=5,
        run=None,
        tenants=frozenset({"globex"}),
        size=20,
        truncated=False,
    )
    assert (found.tenant, found.state) == ("globex", "open")


async def test_of_a_truncated_letter_the_size_of_the_record_is_known() -> None:
    found = only(await remembered(letter(Position(DLQ, 0, 0), value=b"v" * 9_000_000)))
    assert found.truncated
    assert found.size > 9_000_000


ACME = RunKey("acme", "order-1")


@pytest.mark.parametrize(
    ("door", "reason", "run", "tenants"),
    [
        # The record is from the tenant, as far as anybody can say.
        ("", ProblemType.INVALID_REQUEST, ACME, {"acme"}),
        ("globex", ProblemType.INVALID_REQUEST, RunKey("globex", "x"), {"globex"}),
        ("both", ProblemType.INVALID_REQUEST, RunKey("a", "x"), {"a"}),
        # Only the record says so, or nothing does.
        ("", ProblemType.UNSIGNED, ACME, {ANY}),
        ("", ProblemType.FOREIGN_TENANT, ACME, {ANY}),
        ("", ProblemType.MALFORMED_JSON, None, {ANY}),
        ("globex", ProblemType.FOREIGN_TENANT, ACME, {"globex"}),
        ("globex", ProblemType.MALFORMED_JSON, None, {"globex"}),
        ("both", ProblemType.MALFORMED_JSON, None, {"a", "b"}),
        ("closed", ProblemType.MALFORMED_JSON, None, {ANY}),
    ],
)
async def test_a_letter_concerns_those_whose_record_it_may_be(
    door: str, reason: ProblemType, run: RunKey | None, tenants: set[str]
) -> None:
    [own] = [each for each in SETS if each.name == door]
    letters = await remembered(letter(Position(own.topics.dlq, 0, 0), reason=reason, run=run))
    assert only(letters).tenants == tenants
    for names in ((), ("acme",), ("globex",), ("a",), ("a", "b"), (ANY,)):
        assert bool(ids(letters, reach(*names))) == (ANY in names or tenants <= set(names)), names
        # Nobody knows the workflow of what is not valid.
        assert ids(letters, reach(*names, workflow="hello")) == []


async def test_filters() -> None:
    records = [
        letter(Position(DLQ, 0, 0), at_ms=NOW_MS),
        letter(Position(DLQ, 0, 1), at_ms=NOW_MS + 1000, reason=ProblemType.UNSIGNED, run=ACME),
        letter(Position(DLQ, 0, 2), at_ms=NOW_MS + 2000, reason=ProblemType.ID_CONFLICT, run=ACME),
        letter(Position(SETS.of_tenant("globex").topics.dlq, 0, 0), at_ms=NOW_MS + 3000),
        decided(Position(DLQ, 0, 0), Position(DLQ, 0, 3)),
        decided(Position(DLQ, 0, 1), Position(DLQ, 0, 4), "replayed"),
    ]
    letters = await remembered(*records)
    assert ids(letters) == ["globex.0-0", "0-2", "0-1", "0-0"]
    assert ids(letters, states=frozenset({"open"})) == ["globex.0-0", "0-2"]
    assert ids(letters, states=frozenset({"dropped", "replayed"})) == ["0-1", "0-0"]
    assert ids(letters, tenant="acme") == ["0-2"]
    assert ids(letters, tenant="globex") == ["globex.0-0"]
    assert ids(letters, reasons=frozenset({ProblemType.UNSIGNED})) == ["0-1"]
    assert ids(letters, since=NOW + timedelta(seconds=2)) == ["globex.0-0", "0-2"]
    assert ids(letters, until=NOW + timedelta(seconds=2)) == ["0-1", "0-0"]


async def test_a_flood_on_one_partition_takes_no_place_from_another() -> None:
    letters = DeadLetters(topics=SETS, most=20)
    store = DeadLetterStore(letters)
    await store.expire({(DLQ, 0): 0, (DLQ, 1): 0})
    await apply(store, [letter(Position(DLQ, 1, 0))])
    await apply(store, [letter(Position(DLQ, 0, offset)) for offset in range(1000)])
    assert ids(letters) == ["1-0", *(f"0-{offset}" for offset in range(999, 989, -1))]


async def test_a_topic_that_becomes_known_takes_its_share_from_those_before() -> None:
    door = SETS.of_tenant("globex").topics.dlq
    letters = DeadLetters(topics=SETS, most=4)
    first, second = DeadLetterStore(letters), DeadLetterStore(letters)
    await first.expire({(DLQ, 0): 0})
    await apply(first, [letter(Position(DLQ, 0, offset)) for offset in range(4)])
    assert ids(letters) == ["0-3", "0-2", "0-1", "0-0"]
    await second.expire({(door, 0): 0})
    assert ids(letters) == ["0-3", "0-2"]


async def test_a_topic_that_was_recreated_takes_no_letters_of_another_with_it() -> None:
    door = SETS.of_tenant("globex").topics.dlq
    letters = DeadLetters(topics=SETS, most=4)
    first, second = DeadLetterStore(letters), DeadLetterStore(letters)
    await apply(first, [letter(Position(DLQ, 0, 0))])
    await apply(second, [letter(Position(door, 0, 0))])
    await second.forget()
    assert ids(letters) == ["0-0"]


async def test_what_the_topic_has_deleted_is_forgotten() -> None:
    letters = DeadLetters(topics=SETS, most=1000)
    store = DeadLetterStore(letters)
    await apply(store, [letter(Position(DLQ, 0, offset)) for offset in range(3)])
    await store.expire({(DLQ, 0): 2})
    assert ids(letters) == ["0-2"]
    await store.forget()
    assert ids(letters) == []
    assert await store.offsets() == {}


async def test_what_cannot_be_read_is_passed_over() -> None:
    odd = IncomingRecord(position=Position(DLQ, 0, 0), timestamp_ms=1, key=None, value=b"x")
    letters = DeadLetters(topics=SETS, most=1000)
    store = DeadLetterStore(letters)
    await apply(store, [odd, letter(Position(DLQ, 0, 1)), odd])
    assert ids(letters) == ["0-1"]


@pytest.mark.parametrize("text", ["3-17", "acme.3-17", "a-b.0-0", "0-9223372036854775807"])
def test_an_id_is_read_as_it_was_written(text: str) -> None:
    assert str(LetterId.parse(text)) == text
    place = LetterPlace(NOW_MS, LetterId.parse(text))
    assert LetterPlace.parse(str(place)) == place


@pytest.mark.parametrize(
    "text", ["", "3", "3-", "-3", "A.3-1", "acme/3-1", "3-1.", "a.b.3-1", "٣-1"]
)
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="id"):
        LetterId.parse(text)
    for cursor in (text, f"1:{text}", f"x:{text}"):
        with pytest.raises(InvalidCursorError):
            LetterPlace.parse(cursor)
