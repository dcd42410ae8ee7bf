"""What the gateway expects of a store of runs: a `RunView`, and the projection that fills it.

Needs a fixture `store`, a `RunStore` that is empty, with the topics and `keeps_parameters`
of `tests.unit.gateway.harness` and a history of `HISTORY`.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final, Protocol

import pytest

from sluice_contracts.ids import RunKey
from sluice_contracts.notices import QueueNotice, RefusalNotice
from sluice_contracts.problems import ProblemType, problem
from sluice_contracts.records import IncomingRecord, OutgoingRecord, Position
from sluice_contracts.request_codec import encode_request
from sluice_contracts.requests import RunRequest
from sluice_contracts.status import Phase
from sluice_contracts.status_codec import encode_notice, encode_status
from sluice_contracts.steps import Step, StepGroup
from sluice_contracts.topics import TopicNames
from sluice_gateway.domain.models import AcceptedRun, EventPlace, RunState
from sluice_gateway.domain.partitions import LogPartition, door_and_number
from sluice_gateway.domain.reach import Area, Reach
from sluice_gateway.domain.run_query import (
    LabelTest,
    RunFilter,
    RunPage,
    RunPlace,
    RunSummary,
    StreamPlace,
)
from sluice_gateway.ports import LogTruncatedError, RunView
from tests.unit.gateway.harness import DOOR, PRIVATE, SETS, TOPICS, TRACEPARENT, published

HISTORY: Final = timedelta(days=30)
PARTITIONS: Final = 3
KEY: Final = RunKey("default", "order-1")
ALL: Final = RunFilter()


def _area(tenants: str, workflows: str) -> Area:
    return Area(tenants=frozenset(tenants.split()), workflows=frozenset(workflows.split()))


REACHES: Final = [
    Reach.of(areas)
    for areas in (
        [],
        [_area("*", "*")],
        [_area("default", "*")],
        [_area("acme", "*")],
        [_area("acme default", "*")],
        [_area("nobody", "*")],
        [_area("*", "greet")],
        [_area("*", "greet count")],
        [_area("default", "count")],
        [_area("default", "count"), _area("acme", "*")],
        [_area("default", "greet"), _area("acme", "count")],
        [_area("*", "count"), _area("acme", "greet")],
    )
]
"""What principals may see."""


class RunStore(Protocol):
    """A store of runs, as a test sees it."""

    @property
    def view(self) -> RunView:
        """The store, as the gateway reads it."""

    def now(self) -> datetime:
        """Return the time by the clock of the store."""

    async def apply(self, records: Sequence[IncomingRecord]) -> None:
        """Project the records."""

    async def delete_records_before(self, offset: int, *, topics: TopicNames = TOPICS) -> None:
        """Let each partition of both topics begin at that offset, as retention does it."""

    async def forget_old_runs(self) -> None:
        """Forget what is older than the history and no longer on the topics."""


class Topics:
    """Writes records as they stand on the topics; `time` is when the next one is appended."""

    def __init__(self, *, time: datetime) -> None:
        self.time = time
        self._offsets: defaultdict[tuple[str, int], Iterator[int]] = defaultdict(count)

    def request(
        self,
        run_id: str = "order-1",
        *,
        tenant: str = "default",
        workflow: str = "greet",
        name: str = "Ada",
        topic: str | None = None,
        **more: Any,
    ) -> IncomingRecord:
        """Append a request for a run, to the topic of its tenant if no other is given."""
        request = RunRequest.model_validate(
            {
                "id": run_id,
                "tenant": tenant,
                "workflow": workflow,
                "parameters": {"name": name},
                **more,
            }
        )
        written = encode_request(
            request,
            key=RunKey(tenant, run_id),
            source="/test",
            event_id="e",
            time=self.time,
            traceparent=TRACEPARENT,
        )
        return self.append(topic or SETS.of_tenant(tenant).topics.requests, written)

    def event(
        self,
        sequence: int,
        phase: Phase = Phase.RUNNING,
        *,
        partition: int = 1,
        fingerprint: str | None = None,
        **more: Any,
    ) -> IncomingRecord:
        """Append a status event."""
        each = published(sequence, phase, fingerprint=fingerprint, **more)
        topic = SETS.of_tenant(each.event.tenant).topics.status
        return self.append(topic, encode_status(each, source="/test"), partition=partition)

    def notice(self, run_id: str = "order-1", *, held_by: str = "limit") -> IncomingRecord:
        """Append a notice that the run waits."""
        notice = QueueNotice(
            event_id=f"{run_id} {held_by}",
            run_id=run_id,
            tenant="default",
            request="requests/0@1",
            held_by=held_by,
            detail=f"Held by {held_by}.",
            since=self.time,
            observed_at=self.time,
        )
        return self.append(TOPICS.status, encode_notice(notice, source="/t", traceparent=None))

    def refusal(self, run_id: str = "order-1") -> IncomingRecord:
        """Append a notice that another request for the run was refused."""
        notice = RefusalNotice(
            event_id="e",
            run_id=run_id,
            tenant="default",
            request="requests/0@1",
            problem=problem(ProblemType.ID_CONFLICT, "Taken."),
            observed_at=self.time,
        )
        return self.append(TOPICS.status, encode_notice(notice, source="/t", traceparent=None))

    def append(self, topic: str, record: OutgoingRecord, *, partition: int = 1) -> IncomingRecord:
        """Append any record."""
        self.time += timedelta(milliseconds=1)
        return IncomingRecord(
            position=Position(topic, partition, next(self._offsets[topic, partition])),
            timestamp_ms=round(self.time.timestamp() * 1000),
            key=record.key,
            value=record.value,
            headers=record.headers,
        )


class WithTopics:
    """Gives topics whose records are an hour old."""

    @pytest.fixture
    def topics(self, store: RunStore) -> Topics:
        return Topics(time=store.now() - timedelta(hours=1))


def step(name: str, phase: str = "Running") -> Step:
    return Step(id=f"node-{name}", name=name, phase=phase)


def group(name: str, phase: str = "Running") -> StepGroup:
    return StepGroup(id=f"node-{name}", name=name, phase=phase)


async def found(store: RunStore, key: RunKey = KEY) -> RunState:
    state = await store.view.find(key)
    assert state is not None
    return state


async def ids(store: RunStore, query: RunFilter = ALL) -> list[str]:
    page = await store.view.list(query, before=None, limit=100)
    assert page.next is None
    return [run.key.run_id for run in page.runs]


async def contents(store: RunStore, keys: Sequence[RunKey]) -> dict[str, Any]:
    """Return all that the port shows of these runs."""
    shown: dict[str, Any] = {"list": await store.view.list(ALL, before=None, limit=1000)}
    for key in keys:
        shown[f"{key}"] = await store.view.find(key)
        shown[f"{key} events"] = await store.view.events(key, beyond=-1, after=None, limit=1000)
        shown[f"{key} data"] = await store.view.contents(key, 0, max_bytes=10**9)
    shown["all events"] = await store.view.all_events(
        ALL, after=StreamPlace(), limit=1000, max_bytes=10**9
    )
    return shown


class ProjectionSuite(WithTopics):
    """How records become states."""

    async def test_a_run_is_accepted_by_its_request(self, store: RunStore, topics: Topics) -> None:
        accepted_at = topics.time + timedelta(milliseconds=1)
        await store.apply(
            [topics.request(labels={"team": "a"}, priority="high", parent="order-0", name="Ada")]
        )
        state = await found(store)
        assert (state.phase, state.terminal, state.event) == (Phase.ACCEPTED, False, None)
        assert (state.workflow, state.accepted_at) == ("greet", accepted_at)
        assert (state.labels, state.priority, state.parent) == ({"team": "a"}, "high", "order-0")
        assert state.parameters == {"name": "Ada"}

    async def test_a_run_is_its_event_of_the_highest_sequence(
        self, store: RunStore, topics: Topics
    ) -> None:
        await store.apply([topics.request(), topics.event(3), topics.event(7, Phase.SUCCEEDED)])
        before = await contents(store, [KEY])
        assert before[str(KEY)].phase is Phase.SUCCEEDED
        await store.apply([topics.event(7, Phase.SUCCEEDED), topics.event(5), topics.event(3)])
        after = await contents(store, [KEY])
        assert after.pop("all events").events == before.pop("all events").events
        assert after == before

    async def test_a_late_copy_in_the_same_batch_changes_nothing(
        self, store: RunStore, topics: Topics
    ) -> None:
        await store.apply([topics.event(7, Phase.SUCCEEDED), topics.event(5), topics.event(7)])
        assert (await found(store)).phase is Phase.SUCCEEDED
        page = await store.view.events(KEY, beyond=-1, after=None, limit=10)
        assert page is not None
        assert [event.sequence for event in page.events] == [7]
        assert page.ended

    async def test_steps_and_groups_add_up(self, store: RunStore, topics: Topics) -> None:
        await store.apply(
            [
                topics.event(1, steps=(step("b"), step("a")), groups=(group("[0]"),)),
                topics.event(2, steps=(step("c"), step("b", "Succeeded"))),
            ]
        )
        await store.apply([topics.event(3, steps=(step("a", "Failed"),), groups=(group("[1]"),))])
        event = (await found(store)).event
        assert event is not None
        steps: Any = event["steps"]
        groups: Any = event["groups"]
        assert [(each["name"], each["phase"]) for each in steps] == [
            ("b", "Succeeded"),
            ("a", "Failed"),
            ("c", "Running"),
        ]
        assert [each["name"] for each in groups] == ["[0]", "[1]"]

    @pytest.mark.parametrize("together", [True, False])
    async def test_a_retry_forgets_the_steps_that_failed(
        self, store: RunStore, topics: Topics, together: bool
    ) -> None:
        failed = [topics.event(1, Phase.FAILED, steps=(step("a"), step("b", "Failed")))]
        again = [
            topics.event(2, attempt=2, steps=(step("a"),)),
            topics.event(3, attempt=2, steps=(step("c"),)),
        ]
        for batch in [[*failed, *again]] if together else [failed, again]:
            await store.apply(batch)
        state = await found(store)
        assert not state.terminal
        assert state.event is not None
        steps: Any = state.event["steps"]
        assert [each["name"] for each in steps] == ["a", "c"]

    async def test_a_terminal_event_has_all_steps_unless_it_has_none(
        self, store: RunStore, topics: Topics
    ) -> None:
        await store.apply([topics.event(1, steps=(step("a"), step("b")))])
        await store.apply([topics.event(2, Phase.FAILED, truncated=True)])
        event = (await found(store)).event
        assert event is not None
        steps: Any = event["steps"]
        assert [each["name"] for each in steps] == ["a", "b"]
        await store.apply([topics.event(3, Phase.SUCCEEDED, steps=(step("b"),))])
        event = (await found(store)).event
        assert event is not None
        steps = event["steps"]
        assert [each["name"] for each in steps] == ["b"]

    async def test_the_first_request_on_the_topic_names_the_content(
        self, store: RunStore, topics: Topics
    ) -> None:
        first, second = topics.request(name="Ada"), topics.request(name="Bob", labels={"a": "b"})
        await store.apply([second])
        assert (await found(store)).parameters == {"name": "Bob"}
        await store.apply([first])
        state = await found(store)
        assert (state.parameters, state.labels) == ({"name": "Ada"}, {})
        await store.apply([second])
        assert await found(store) == state

    async def test_events_repeat_what_the_topic_no_longer_has(
        self, store: RunStore, topics: Topics
    ) -> None:
        accepted_at = topics.time - timedelta(days=2)
        await store.apply(
            [
                topics.event(
                    1,
                    fingerprint="f",
                    labels={"team": "a"},
                    priority="low",
                    parent="order-0",
                    accepted_at=accepted_at,
                )
            ]
        )
        state = await found(store)
        assert (state.labels, state.priority, state.parent) == ({"team": "a"}, "low", "order-0")
        assert (state.accepted_at, state.fingerprint) == (accepted_at, "f")
        assert (state.workflow, state.parameters) == ("greet", None)
        assert await ids(store, RunFilter(labels=(LabelTest(name="team", value="a"),))) == [
            "order-1"
        ]

    async def test_the_status_has_the_last_word_on_the_content(
        self, store: RunStore, topics: Topics
    ) -> None:
        await store.apply([topics.request(), topics.event(3, fingerprint="of the run")])
        await store.apply([topics.event(4, fingerprint=None)])
        assert (await found(store)).fingerprint == "of the run"

    async def test_records_of_no_run_leave_no_trace(self, store: RunStore, topics: Topics) -> None:
        garbage = OutgoingRecord(key=None, value=b"{")
        await store.apply(
            [
                topics.append(TOPICS.requests, garbage),
                topics.append(TOPICS.requests, OutgoingRecord(key=b"k", value=None)),
                topics.append(TOPICS.status, garbage),
                topics.refusal(),
            ]
        )
        assert await store.view.find(KEY) is None
        assert await ids(store) == []

    async def test_private_parameters_are_not_kept(self, store: RunStore, topics: Topics) -> None:
        await store.apply(
            [
                topics.request("private", workflow=PRIVATE, name="secret"),
                topics.request("unknown", workflow="no-such-workflow", name="secret"),
            ]
        )
        for run_id in ("private", "unknown"):
            assert (await found(store, RunKey("default", run_id))).parameters is None

    async def test_a_run_noted_at_once_equals_the_projection_of_its_record(
        self, store: RunStore, topics: Topics
    ) -> None:
        record = topics.request(labels={"team": "a"}, priority="low", parent="order-0")
        request = RunRequest.model_validate_json(record.value or b"")
        store.view.accept(
            AcceptedRun(
                key=KEY,
                workflow=request.workflow,
                fingerprint=request.fingerprint,
                partition=record.position.partition,
                offset=record.position.offset,
                accepted_at=datetime.fromtimestamp(record.timestamp_ms / 1000, tz=UTC),
                labels=request.labels,
                priority=request.priority,
                parent=request.parent,
                parameters=request.content().parameters,
            )
        )
        noted = await contents(store, [KEY])
        assert noted[str(KEY)].labels == {"team": "a"}
        await store.apply([record])
        assert await contents(store, [KEY]) == noted

    async def test_text_comes_through_exactly(self, store: RunStore, topics: Topics) -> None:
        text = "{{workflow.name}} \"quotes\" \n\r \u2028 🌊 'single' \\u0000"
        await store.apply(
            [
                topics.request(name=text, labels={"a/b.c": "🌊 'x' \"y\" %_"}),
                topics.event(1, message=text, outputs={text: text}, steps=(step(text),)),
            ]
        )
        state = await found(store)
        assert state.parameters == {"name": text}
        assert state.labels == {"a/b.c": "🌊 'x' \"y\" %_"}
        assert state.event is not None
        assert (state.event["message"], state.event["outputs"]) == (text, {text: text})
        [event] = await store.view.contents(KEY, 0, max_bytes=1)
        assert "\n" not in event.data
        assert "\r" not in event.data

    @pytest.mark.parametrize("seed", range(8))
    async def test_order_between_topics_and_repetitions_do_not_matter(
        self, store: RunStore, topics: Topics, seed: int
    ) -> None:
        """Each topic is read in order, in batches of any size, and again after a crash."""
        chance = random.Random(seed)  # noqa: S311 - no secret
        keys = [RunKey("default", run_id) for run_id in "abc"]
        requests = [
            topics.request(chance.choice("abc"), name=chance.choice("AB")) for _ in range(6)
        ]
        status = [
            topics.notice(run_id)
            if chance.random() < 0.2
            else topics.event(
                chance.randrange(12),
                chance.choice([Phase.SUBMITTED, Phase.RUNNING, Phase.FAILED, Phase.SUCCEEDED]),
                run_id=run_id,
                attempt=chance.choice([1, 1, 2]),
                steps=tuple(step(name) for name in chance.sample("xyz", chance.randrange(3))),
                fingerprint=chance.choice([None, "f", "g"]),
            )
            for run_id in chance.choices("abc", k=20)
        ]
        await store.apply([*requests, *status])
        straight = await contents(store, keys)
        for run_id in keys:
            state = straight[str(run_id)]
            assert state is None or state.key == run_id
        # All of it again, mixed: a store that has everything learns nothing.
        left, right = list(requests), list(status)
        while left or right:
            source = left if left and (not right or chance.random() < 0.5) else right
            size = chance.randint(1, 4)
            await store.apply(source[:size])
            del source[:size]
        assert await contents(store, keys) == straight


async def read_list(store: RunStore, query: RunFilter) -> list[RunSummary]:
    """Read a list one run at a time."""
    runs: list[RunSummary] = []
    page = await store.view.list(query, before=None, limit=1)
    runs += page.runs
    while page.next is not None:
        page = await store.view.list(query, before=page.next, limit=1)
        runs += page.runs
    return runs


class ListSuite(WithTopics):
    """Lists and counts."""

    async def fill(self, store: RunStore, topics: Topics) -> None:
        """Add four runs, each a little younger than the one before."""
        await store.apply(
            [
                topics.request("alpha-1", labels={"team": "a", "env": "dev"}),
                topics.request("alpha-2", labels={"team": "a"}),
                topics.request("beta-1", labels={"team": "b"}, workflow="count"),
                topics.request("beta-2", tenant="acme"),
                topics.event(1, run_id="alpha-1"),
                topics.event(2, Phase.FAILED, run_id="alpha-1"),
                topics.event(1, run_id="alpha-2", progress="1/2"),
                topics.event(1, Phase.SUCCEEDED, run_id="beta-2", tenant="acme"),
            ]
        )

    async def test_the_newest_come_first(self, store: RunStore, topics: Topics) -> None:
        assert await store.view.list(ALL, before=None, limit=5) == RunPage(runs=(), next=None)
        await self.fill(store, topics)
        assert await ids(store) == ["beta-2", "beta-1", "alpha-2", "alpha-1"]

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            (RunFilter(tenant="acme"), ["beta-2"]),
            (RunFilter(tenant="nobody"), []),
            (RunFilter(workflow="greet"), ["beta-2", "alpha-2", "alpha-1"]),
            (RunFilter(workflow="no-such"), []),
            (RunFilter(phases=frozenset({Phase.FAILED})), ["alpha-1"]),
            (RunFilter(phases=frozenset({Phase.FAILED, Phase.ACCEPTED})), ["beta-1", "alpha-1"]),
            (RunFilter(labels=(LabelTest(name="team", value="a"),)), ["alpha-2", "alpha-1"]),
            (
                RunFilter(labels=(LabelTest(name="team", value="a", equal=False),)),
                ["beta-2", "beta-1"],
            ),
            (
                RunFilter(
                    labels=(
                        LabelTest(name="team", value="a"),
                        LabelTest(name="env", value="dev", equal=False),
                    )
                ),
                ["alpha-2"],
            ),
            (
                RunFilter(
                    labels=(
                        LabelTest(name="team", value="a"),
                        LabelTest(name="env", value="dev"),
                    )
                ),
                ["alpha-1"],
            ),
            (RunFilter(labels=(LabelTest(name="team", value="no"),)), []),
            (RunFilter(text="beta"), ["beta-2", "beta-1"]),
            (RunFilter(text="a-1"), ["beta-1", "alpha-1"]),
            (RunFilter(text="alpha-1"), ["alpha-1"]),
            (RunFilter(text="a"), ["beta-2", "beta-1", "alpha-2", "alpha-1"]),
            (RunFilter(text="-2"), ["beta-2", "alpha-2"]),
            (RunFilter(text="ALPHA"), []),
            (RunFilter(text="%"), []),
            (RunFilter(text='"'), []),
            (RunFilter(text="beta-1x"), []),
            (
                RunFilter(tenant="default", workflow="greet", text="alpha", labels=()),
                ["alpha-2", "alpha-1"],
            ),
            (
                RunFilter(
                    tenant="default",
                    workflow="greet",
                    phases=frozenset({Phase.RUNNING, Phase.FAILED}),
                    labels=(LabelTest(name="team", value="a"),),
                    text="-1",
                ),
                ["alpha-1"],
            ),
        ],
    )
    async def test_every_condition_has_to_be_fulfilled(
        self, store: RunStore, topics: Topics, query: RunFilter, expected: list[str]
    ) -> None:
        await self.fill(store, topics)
        assert await ids(store, query) == expected
        by_phase = await store.view.count(query)
        assert sum(by_phase.values()) == len(expected)
        assert all(number > 0 for number in by_phase.values())

    @pytest.mark.parametrize("reach", REACHES)
    async def test_only_what_the_principal_may_see_is_listed_and_counted(
        self, store: RunStore, topics: Topics, reach: Reach
    ) -> None:
        await self.fill(store, topics)
        # Nothing is known of it but a notice: not even the workflow.
        await store.apply([topics.notice("waiting-1")])
        for query in (
            ALL,
            RunFilter(tenant="default"),
            RunFilter(tenant="acme"),
            RunFilter(workflow="greet"),
            RunFilter(phases=frozenset({Phase.FAILED})),
            RunFilter(phases=frozenset({Phase.FAILED, Phase.ACCEPTED, Phase.SUCCEEDED})),
            RunFilter(labels=(LabelTest(name="team", value="a"),)),
            RunFilter(labels=(LabelTest(name="team", value="a", equal=False),)),
            RunFilter(text="a-1"),
            RunFilter(text="beta"),
            RunFilter(since=datetime(2000, 1, 1, tzinfo=UTC)),
        ):
            everything = (await store.view.list(query, before=None, limit=10)).runs
            expected = [
                run for run in everything if reach.has(tenant=run.key.tenant, workflow=run.workflow)
            ]
            seen = query.seen_within(reach)
            assert await read_list(store, seen) == expected
            assert await store.view.count(seen) == Counter(run.phase for run in expected)

    @pytest.mark.parametrize("reach", REACHES)
    async def test_only_what_the_principal_may_see_is_counted_by_kind(
        self, store: RunStore, topics: Topics, reach: Reach
    ) -> None:
        await self.fill(store, topics)
        await store.apply([topics.notice("waiting-1")])
        for query in (
            ALL,
            RunFilter(tenant="acme"),
            RunFilter(workflow="greet"),
            RunFilter(phases=frozenset({Phase.FAILED, Phase.ACCEPTED})),
        ):
            runs = (await store.view.list(query, before=None, limit=10)).runs
            kinds = [(run.key.tenant, run.workflow, run.phase) for run in runs]
            counted = await store.view.count_kinds(query.seen_within(reach))
            assert {kind[:3]: kind.runs for kind in counted} == Counter(
                kind for kind in kinds if reach.has(tenant=kind[0], workflow=kind[1])
            )
            assert len({kind[:3] for kind in counted}) == len(counted)

    async def test_since_is_included_and_until_is_not(
        self, store: RunStore, topics: Topics
    ) -> None:
        await self.fill(store, topics)
        page = await store.view.list(ALL, before=None, limit=10)
        moments = [
            datetime.fromtimestamp(run.place.accepted_ms / 1000, tz=UTC) for run in page.runs
        ]
        query = RunFilter(since=moments[2], until=moments[0])
        assert await ids(store, query) == ["beta-1", "alpha-2"]
        assert sum((await store.view.count(query)).values()) == 2
        # A moment between two milliseconds.
        query = RunFilter(since=moments[2] + timedelta(microseconds=400))
        assert await ids(store, query) == ["beta-2", "beta-1"]

    async def test_a_summary_says_what_the_state_says(
        self, store: RunStore, topics: Topics
    ) -> None:
        await self.fill(store, topics)
        started_at = topics.time
        await store.apply(
            [
                topics.event(
                    3,
                    run_id="alpha-2",
                    attempt=2,
                    progress="2/2",
                    started_at=started_at,
                    finished_at=started_at + timedelta(seconds=5),
                )
            ]
        )
        page = await store.view.list(RunFilter(text="alpha-2"), before=None, limit=1)
        [run] = page.runs
        state = await found(store, run.key)
        assert (run.phase, run.terminal) == (state.phase, state.terminal)
        assert (run.attempt, run.progress, run.workflow) == (2, "2/2", "greet")
        assert (run.labels, run.priority, run.parent) == ({"team": "a"}, "normal", None)
        assert run.started_at == started_at
        assert run.finished_at == started_at + timedelta(seconds=5)
        assert run.place[1:] == run.key

    async def test_a_version_changes_with_the_run_alone(
        self, store: RunStore, topics: Topics
    ) -> None:
        async def versions() -> list[str]:
            page = await store.view.list(ALL, before=None, limit=10)
            return [run.version for run in page.runs]

        await self.fill(store, topics)
        before = await versions()
        await store.apply([topics.event(9, run_id="alpha-1")])
        after = await versions()
        assert after[:3] == before[:3]
        assert after[3] != before[3]

    async def test_counts_are_by_phase(self, store: RunStore, topics: Topics) -> None:
        assert await store.view.count(ALL) == {}
        await self.fill(store, topics)
        assert await store.view.count(ALL) == {
            Phase.FAILED: 1,
            Phase.RUNNING: 1,
            Phase.ACCEPTED: 1,
            Phase.SUCCEEDED: 1,
        }
        await store.apply([topics.event(2, Phase.SUCCEEDED, run_id="alpha-2")])
        assert await store.view.count(RunFilter(tenant="default")) == {
            Phase.FAILED: 1,
            Phase.ACCEPTED: 1,
            Phase.SUCCEEDED: 1,
        }

    async def test_runs_of_the_same_moment_have_an_order(
        self, store: RunStore, topics: Topics
    ) -> None:
        records = []
        for tenant, run_id in (("b", "1"), ("a", "2"), ("b", "3"), ("a", "1")):
            topics.time = store.now() - timedelta(hours=1)
            records.append(topics.request(run_id, tenant=tenant))
        await store.apply(records)
        seen: list[RunKey] = []
        place: RunPlace | None = None
        while True:
            page = await store.view.list(ALL, before=place, limit=1)
            seen += [run.key for run in page.runs]
            place = page.next
            if place is None:
                break
        assert seen == [("b", "3"), ("b", "1"), ("a", "2"), ("a", "1")]

    @pytest.mark.parametrize("seed", range(6))
    async def test_cursors_stay_right_while_runs_arrive(
        self, store: RunStore, topics: Topics, seed: int
    ) -> None:
        """A client that pages gets every run once that was there at the begin."""
        chance = random.Random(seed)  # noqa: S311 - no secret
        query = chance.choice(
            [
                ALL,
                RunFilter(tenant="default"),
                RunFilter(labels=(LabelTest(name="team", value="a"),)),
                RunFilter(text="run-"),
                RunFilter(workflow="greet"),
            ]
        )
        numbers = count()

        async def arrive(runs: int) -> None:
            records = []
            for _ in range(runs):
                run_id = f"run-{next(numbers):04}"
                if chance.random() < 0.3:
                    topics.time -= timedelta(milliseconds=1)
                records.append(
                    topics.request(
                        run_id,
                        tenant=chance.choice(["default", "default", "acme"]),
                        labels={"team": chance.choice("ab")},
                    )
                )
            await store.apply(records)

        await arrive(40)
        expected = await ids(store, query)
        seen: list[RunPlace] = []
        place: RunPlace | None = None
        while True:
            limit = chance.randint(1, 7)
            page = await store.view.list(query, before=place, limit=limit)
            assert len(page.runs) <= limit
            seen += [run.place for run in page.runs]
            if page.next is None:
                break
            # The client has the cursor as text.
            place = RunPlace.parse(str(page.next))
            await arrive(chance.randrange(3))
            changed = chance.choice(seen)
            await store.apply(
                [
                    topics.event(
                        chance.randrange(1, 50), run_id=changed.run_id, tenant=changed.tenant
                    )
                ]
            )
        assert [each.run_id for each in seen] == expected
        assert seen == sorted(seen, reverse=True)


class QueueSuite(WithTopics):
    """Where a run stands that waits."""

    async def test_a_position_counts_those_that_came_before_and_wait(
        self, store: RunStore, topics: Topics
    ) -> None:
        await store.apply([topics.request(f"run-{number}") for number in range(4)])
        assert await self.positions(store) == [1, 2, 3, 4]
        await store.apply([topics.event(1, Phase.SUBMITTED, run_id="run-1")])
        assert await self.positions(store) == [1, None, 2, 3]
        await store.apply([topics.event(0, Phase.REJECTED, run_id="run-0")])
        assert await self.positions(store) == [None, None, 1, 2]

    async def positions(self, store: RunStore) -> list[int | None]:
        states = [await found(store, RunKey("default", f"run-{number}")) for number in range(4)]
        return [state.queue.position if state.queue else None for state in states]

    async def test_the_newest_notice_says_why(self, store: RunStore, topics: Topics) -> None:
        await store.apply([topics.request()])
        queue = (await found(store)).queue
        assert queue is not None
        assert (queue.held_by, queue.detail, queue.since) == (None, None, None)
        first, since = topics.notice(held_by="forbidden"), topics.time
        second = topics.notice(held_by="limit")
        await store.apply([first])
        queue = (await found(store)).queue
        assert queue is not None
        assert (queue.held_by, queue.detail) == ("forbidden", "Held by forbidden.")
        assert queue.since == since - timedelta(milliseconds=1)
        await store.apply([second, first])
        queue = (await found(store)).queue
        assert queue is not None
        assert queue.held_by == "limit"
        await store.apply([topics.event(1, Phase.SUBMITTED)])
        assert (await found(store)).queue is None

    async def test_a_notice_before_its_request_is_not_lost(
        self, store: RunStore, topics: Topics
    ) -> None:
        request, notice = topics.request(), topics.notice(held_by="limit")
        await store.apply([notice])
        await store.apply([request])
        state = await found(store)
        assert state.queue is not None
        assert (state.queue.held_by, state.workflow) == ("limit", "greet")

    async def test_the_version_changes_with_the_place(
        self, store: RunStore, topics: Topics
    ) -> None:
        await store.apply([topics.request("first"), topics.request()])
        versions = [(await found(store)).version]
        await store.apply([topics.notice()])
        versions.append((await found(store)).version)
        await store.apply([topics.event(1, run_id="first")])
        versions.append((await found(store)).version)
        assert len(set(versions)) == 3

    async def test_the_rate_of_starts_says_when(self, store: RunStore, topics: Topics) -> None:
        await store.apply([topics.request(f"run-{number}") for number in range(12)])
        # So long ago that it says nothing about now.
        await store.apply([topics.event(1, run_id="run-0")])
        last = RunKey("default", "run-11")
        state = await found(store, last)
        assert state.queue is not None
        assert state.queue.eta is None
        topics.time = store.now() - timedelta(seconds=10)
        await store.apply([topics.event(1, run_id=f"run-{number}") for number in range(1, 6)])
        state = await found(store, last)
        assert state.queue is not None
        assert state.queue.eta is not None
        # Five started within the last five minutes: one a minute, and six wait.
        assert abs(state.queue.eta - store.now() - timedelta(minutes=6)) < timedelta(seconds=30)


class StreamSuite(WithTopics):
    """The stream of the events of all runs."""

    async def read(
        self,
        store: RunStore,
        *,
        after: StreamPlace,
        query: RunFilter = ALL,
        limit: int = 100,
        max_bytes: int = 10**9,
    ) -> tuple[list[tuple[LogPartition, int]], StreamPlace]:
        """Read until nothing follows; give partitions and offsets, and the place."""
        seen: list[tuple[LogPartition, int]] = []
        while True:
            page = await store.view.all_events(query, after=after, limit=limit, max_bytes=max_bytes)
            assert len(page.events) <= limit
            seen += [(event.partition, event.offset) for event in page.events]
            if page.place == after:
                return seen, after
            after = page.place

    def records(self, topics: Topics, number: int) -> list[IncomingRecord]:
        """Give events of some runs on all partitions."""
        return [
            topics.event(
                index + 1,
                [Phase.RUNNING, Phase.FAILED][index % 2],
                run_id=f"run-{index % 5}",
                partition=index % 5 % PARTITIONS,
            )
            for index in range(number)
        ]

    async def test_an_empty_store_has_an_end(self, store: RunStore) -> None:
        end = await store.view.stream_end()
        page = await store.view.all_events(ALL, after=end, limit=10, max_bytes=10**6)
        assert (page.events, page.place) == ((), end)

    async def test_every_event_comes_once_in_the_order_of_its_partition(
        self, store: RunStore, topics: Topics
    ) -> None:
        records = self.records(topics, 40)
        await store.apply(records)
        expected = [(each.position.partition, each.position.offset) for each in records]
        for limit in (1, 7, 100):
            seen, place = await self.read(store, after=StreamPlace(), limit=limit)
            assert sorted(seen) == sorted(expected)
            for partition in range(PARTITIONS):
                ours = [offset for number, offset in seen if number == partition]
                assert ours == sorted(ours)
            assert place == await store.view.stream_end()

    async def test_an_event_is_as_the_run_has_it(self, store: RunStore, topics: Topics) -> None:
        await store.apply([topics.request(), topics.event(1, Phase.RUNNING, message="x")])
        page = await store.view.all_events(ALL, after=StreamPlace(), limit=10, max_bytes=10**6)
        [event] = page.events
        [own] = await store.view.contents(KEY, 0, max_bytes=1)
        assert (event.key, event.type, event.data) == (KEY, own.type, own.data)
        assert (event.partition, event.offset) == own.place

    @pytest.mark.parametrize("seed", range(4))
    async def test_a_stream_that_is_cut_anywhere_resumes_exactly(
        self, store: RunStore, topics: Topics, seed: int
    ) -> None:
        chance = random.Random(seed)  # noqa: S311 - no secret
        records = self.records(topics, 60)
        place = await store.view.stream_end()
        seen: list[tuple[LogPartition, int]] = []
        left = list(records)
        while True:
            batch = chance.randint(1, 10)
            await store.apply(left[:batch])
            del left[:batch]
            page = await store.view.all_events(
                ALL, after=place, limit=chance.randint(1, 20), max_bytes=10**6
            )
            if not (page.events or left):
                break
            taken = page.events[: chance.randint(0, len(page.events))]
            seen += [(event.partition, event.offset) for event in taken]
            # The client has the id of the last event that it got as text.
            if taken:
                place = StreamPlace.parse(str(taken[-1].place))
        assert sorted(seen) == sorted(
            (each.position.partition, each.position.offset) for each in records
        )

    async def test_partitions_that_the_topic_cannot_have_are_not_repeated(
        self, store: RunStore, topics: Topics
    ) -> None:
        """A client may name thousands of them, and each event repeats the place."""
        await store.apply(self.records(topics, 10))
        invented = StreamPlace(next_offsets=dict.fromkeys(range(1000, 3000), 2**62))
        page = await store.view.all_events(ALL, after=invented, limit=100, max_bytes=10**9)
        assert page == await store.view.all_events(
            ALL, after=StreamPlace(), limit=100, max_bytes=10**9
        )
        assert len(page.events) == 10
        assert page.place == await store.view.stream_end()

    async def test_a_new_partition_that_only_another_replica_knows_keeps_its_place(
        self, store: RunStore, topics: Topics
    ) -> None:
        await store.apply(self.records(topics, 10))
        place = StreamPlace(next_offsets={PARTITIONS: 7})
        page = await store.view.all_events(ALL, after=place, limit=100, max_bytes=10**9)
        assert {each.place.next_offsets[PARTITIONS] for each in page.events} == {7}
        assert page.place.next_offsets[PARTITIONS] == 7

    async def test_only_events_that_are_asked_for_come_and_the_place_passes_the_others(
        self, store: RunStore, topics: Topics
    ) -> None:
        records = self.records(topics, 40)
        await store.apply([topics.request("run-2", labels={"team": "a"}), *records])
        ours = [
            (each.position.partition, each.position.offset)
            for each in records
            if each.key == b"default/run-2"
        ]
        for query in (
            RunFilter(labels=(LabelTest(name="team", value="a"),)),
            RunFilter(text="n-2"),
            RunFilter(tenant="default", workflow="greet", text="run-2"),
        ):
            seen, place = await self.read(store, after=StreamPlace(), query=query, limit=3)
            assert seen == ours
            assert place == await store.view.stream_end(tenants=query.tenants)
        seen, _ = await self.read(
            store,
            after=StreamPlace(),
            query=RunFilter(text="run-2", phases=frozenset({Phase.FAILED})),
        )
        assert seen == ours[1::2] or seen == ours[0::2]
        assert await self.read(
            store, after=StreamPlace(), query=RunFilter(tenant="nobody"), limit=3
        ) == ([], await store.view.stream_end(tenants=["nobody"]))

    @pytest.mark.parametrize("reach", REACHES)
    async def test_only_events_that_the_principal_may_see_come(
        self, store: RunStore, topics: Topics, reach: Reach
    ) -> None:
        runs = [("default", "greet"), ("default", "count"), ("acme", "greet"), ("acme", "count")]
        records = [
            record
            for number, (tenant, workflow) in enumerate(runs)
            for record in (
                topics.request(f"run-{number}", tenant=tenant, workflow=workflow),
                topics.event(1, run_id=f"run-{number}", tenant=tenant, workflow=workflow),
            )
        ]
        await store.apply(records)
        page = await store.view.all_events(
            ALL.seen_within(reach), after=StreamPlace(), limit=100, max_bytes=10**6
        )
        assert sorted(each.key for each in page.events) == sorted(
            RunKey(tenant, f"run-{number}")
            for number, (tenant, workflow) in enumerate(runs)
            if reach.has(tenant=tenant, workflow=workflow)
        )
        assert page.place == await store.view.stream_end(tenants=reach.tenants)

    async def test_other_records_move_the_place_on(self, store: RunStore, topics: Topics) -> None:
        await store.apply([topics.event(5)])
        place = await store.view.stream_end()
        await store.apply([topics.event(5), topics.event(3), topics.notice(), topics.refusal()])
        page = await store.view.all_events(ALL, after=place, limit=10, max_bytes=10**6)
        assert (page.events, page.place) == ((), await store.view.stream_end())

    async def test_bytes_bound_a_page_and_one_event_always_comes(
        self, store: RunStore, topics: Topics
    ) -> None:
        await store.apply([topics.event(n + 1, message="x" * 10_000) for n in range(5)])
        for max_bytes, events in ((1, 1), (15_000, 2), (10**6, 5)):
            page = await store.view.all_events(
                ALL, after=StreamPlace(), limit=10, max_bytes=max_bytes
            )
            assert len(page.events) == events
        seen, _ = await self.read(store, after=StreamPlace(), max_bytes=1)
        assert len(seen) == 5

    async def test_a_subscriber_to_all_hears_of_every_change(
        self, store: RunStore, topics: Topics
    ) -> None:
        with store.view.subscribe_all() as subscription:
            subscription.looked()
            await store.apply([topics.event(1)])
            assert await subscription.wait(within=5)

    async def test_a_place_before_the_begin_of_the_log_is_refused(
        self, store: RunStore, topics: Topics
    ) -> None:
        """Records that the topic deleted before they were read here are missing."""
        await store.apply(self.records(topics, 10))
        middle = await store.view.stream_end()
        for _ in range(10):
            missed = topics.event(1).position.offset
        await store.delete_records_before(missed + 1)
        with pytest.raises(LogTruncatedError):
            await store.view.all_events(ALL, after=middle, limit=10, max_bytes=10**6)
        end = await store.view.stream_end()
        await store.apply([topics.event(50)])
        seen, _ = await self.read(store, after=end)
        assert seen == [(1, missed + 1)]

    async def test_retention_of_what_was_read_takes_nothing_away(
        self, store: RunStore, topics: Topics
    ) -> None:
        await store.apply(self.records(topics, 10))
        await store.delete_records_before(2)
        seen, _ = await self.read(store, after=StreamPlace())
        assert len(seen) == 10


class HistorySuite(WithTopics):
    """What is forgotten, and when."""

    async def kept(self, store: RunStore) -> set[str]:
        await store.forget_old_runs()
        return set(await ids(store))

    async def test_a_finished_run_is_kept_longer_than_the_topics_keep_it(
        self, store: RunStore, topics: Topics
    ) -> None:
        topics.time = store.now() - timedelta(days=29)
        await store.apply([topics.request("old"), topics.event(1, Phase.FAILED, run_id="old")])
        topics.time = store.now()
        await store.apply([topics.event(1, Phase.SUCCEEDED, run_id="new")])
        await store.delete_records_before(1000)
        assert await self.kept(store) == {"old", "new"}
        assert (await found(store, RunKey("default", "old"))).parameters == {"name": "Ada"}

    async def test_what_is_older_than_the_history_goes_with_all_that_belongs_to_it(
        self, store: RunStore, topics: Topics
    ) -> None:
        topics.time = store.now() - timedelta(days=31)
        await store.apply(
            [
                topics.request("over", labels={"team": "a"}),
                topics.event(1, run_id="over", steps=(step("a"),)),
                topics.event(2, Phase.FAILED, run_id="over", steps=(step("a"),)),
                topics.event(1, run_id="running"),
            ]
        )
        begin = StreamPlace()
        topics.time = store.now()
        await store.apply([topics.event(1, Phase.SUCCEEDED, run_id="new")])
        await store.delete_records_before(1000)
        # One that goes on is kept, however long ago it was heard of.
        assert await self.kept(store) == {"running", "new"}
        over = RunKey("default", "over")
        assert await store.view.find(over) is None
        assert await store.view.events(over, beyond=-1, after=None, limit=10) is None
        assert await store.view.contents(over, 0, max_bytes=100) == ()
        assert await ids(store, RunFilter(text="over")) == []
        assert await ids(store, RunFilter(labels=(LabelTest(name="team", value="a"),))) == []
        assert sum((await store.view.count(ALL)).values()) == 2
        with pytest.raises(LogTruncatedError):
            await store.view.all_events(ALL, after=begin, limit=10, max_bytes=10**6)

    async def test_the_id_of_a_forgotten_run_may_come_again(
        self, store: RunStore, topics: Topics
    ) -> None:
        topics.time = store.now() - timedelta(days=31)
        await store.apply([topics.request(), topics.event(9, Phase.FAILED)])
        topics.time = store.now()
        await store.apply([topics.event(1, run_id="other")])
        await store.delete_records_before(1000)
        assert await self.kept(store) == {"other"}
        await store.apply([topics.request(name="Bob")])
        state = await found(store)
        assert (state.phase, state.parameters) == (Phase.ACCEPTED, {"name": "Bob"})
        assert set(await ids(store, RunFilter(text="order-1"))) == {"order-1"}


class DoorSuite(WithTopics):
    """Runs of a tenant that has topics of its own."""

    KEY: Final = RunKey("globex", "order-1")

    async def test_a_run_is_known_by_the_records_of_its_own_topics(
        self, store: RunStore, topics: Topics
    ) -> None:
        own = topics.request(tenant="globex", name="Grace")
        await store.apply([topics.request(), own])
        await store.apply([topics.event(3, Phase.SUCCEEDED, tenant="globex")])
        state = await found(store, self.KEY)
        assert (state.phase, state.parameters) == (Phase.SUCCEEDED, {"name": "Grace"})
        assert (await found(store)).phase is Phase.ACCEPTED
        page = await store.view.events(self.KEY, beyond=-1, after=None, limit=10)
        assert page is not None
        assert [str(each.place) for each in page.events] == ["globex/1:0"]

    async def test_a_record_without_a_tenant_is_from_the_door_s(
        self, store: RunStore, topics: Topics
    ) -> None:
        plain = topics.append(
            DOOR.requests, OutgoingRecord(key=b"order-1", value=b'{"workflow":"greet"}')
        )
        await store.apply([plain])
        assert (await found(store, self.KEY)).workflow == "greet"
        assert await store.view.find(KEY) is None

    async def test_a_request_on_a_foreign_topic_says_nothing(
        self, store: RunStore, topics: Topics
    ) -> None:
        await store.apply([topics.request(), topics.request(tenant="globex")])
        before = await contents(store, [KEY, self.KEY])
        await store.apply(
            [
                topics.request(tenant="globex", topic=TOPICS.requests, name="Eve"),
                topics.append(
                    DOOR.requests,
                    OutgoingRecord(
                        key=None, value=b'{"id":"order-1","workflow":"x","tenant":"default"}'
                    ),
                ),
            ]
        )
        assert await contents(store, [KEY, self.KEY]) == before

    async def test_a_run_noted_at_once_equals_the_projection_of_its_record_there_too(
        self, store: RunStore, topics: Topics
    ) -> None:
        record = topics.request(tenant="globex")
        request = RunRequest.model_validate({"workflow": "greet", "parameters": {"name": "Ada"}})
        store.view.accept(
            AcceptedRun(
                key=self.KEY,
                workflow="greet",
                fingerprint=request.fingerprint,
                partition=record.position.partition,
                offset=record.position.offset,
                accepted_at=topics.time,
                parameters=request.content().parameters,
            )
        )
        noted = await store.view.find(self.KEY)
        await store.apply([record])
        assert await store.view.find(self.KEY) == noted

    async def test_a_reader_of_a_run_resumes_behind_its_last_event(
        self, store: RunStore, topics: Topics
    ) -> None:
        await store.apply([topics.event(1), topics.event(2)])
        await store.apply([topics.event(n, tenant="globex") for n in (1, 2, 3)])
        after = EventPlace.parse("globex/1:1")
        page = await store.view.events(self.KEY, beyond=-1, after=after, limit=10)
        assert page is not None
        assert [each.sequence for each in page.events] == [3]
        # A place on another topic is behind nothing of this run.
        page = await store.view.events(self.KEY, beyond=-1, after=EventPlace(1, 1), limit=10)
        assert page is not None
        assert [each.sequence for each in page.events] == [1, 2, 3]
        unknown = EventPlace.parse("nobody/1:1")
        page = await store.view.events(self.KEY, beyond=-1, after=unknown, limit=10)
        assert page is not None
        assert len(page.events) == 3

    def both(self, topics: Topics, number: int) -> list[IncomingRecord]:
        """Give events of runs of two tenants, each on its own topic, on all partitions."""
        return [
            topics.event(
                index + 1,
                run_id=f"run-{index % 5}",
                tenant=("default", "globex")[index % 2],
                partition=index % PARTITIONS,
            )
            for index in range(number)
        ]

    @pytest.mark.parametrize("seed", range(3))
    async def test_a_stream_over_all_topics_resumes_exactly_wherever_it_is_cut(
        self, store: RunStore, topics: Topics, seed: int
    ) -> None:
        chance = random.Random(seed)  # noqa: S311 - no secret
        left = self.both(topics, 60)
        expected = {(each.position.topic, *_place(each)) for each in left}
        place, seen = StreamPlace(), list[tuple[str, int, int]]()
        while True:
            batch = chance.randint(1, 10)
            await store.apply(left[:batch])
            del left[:batch]
            page = await store.view.all_events(
                ALL, after=place, limit=chance.randint(1, 20), max_bytes=10**6
            )
            if not (page.events or left):
                break
            taken = page.events[: chance.randint(0, len(page.events))]
            for each in taken:
                door, number = door_and_number(each.partition)
                seen.append((DOOR.status if door else TOPICS.status, number, each.offset))
            if taken:
                place = StreamPlace.parse(str(taken[-1].place))
        assert len(seen) == 60
        assert set(seen) == expected

    async def test_a_stream_of_one_tenant_names_no_partition_of_another_s_door(
        self, store: RunStore, topics: Topics
    ) -> None:
        await store.apply(self.both(topics, 30))
        seen_by_globex = Reach.of([Area(tenants=frozenset({"globex"}), workflows=frozenset({"*"}))])
        for query, tenant, doors in (
            (RunFilter(tenant="default"), "default", {""}),
            (RunFilter(tenant="globex"), "globex", {"", "globex"}),
            (ALL.seen_within(seen_by_globex), "globex", {"", "globex"}),
        ):
            page = await store.view.all_events(
                query, after=StreamPlace(), limit=100, max_bytes=10**6
            )
            assert {each.key.tenant for each in page.events} == {tenant}
            assert len(page.events) == 15
            for place in (page.place, await store.view.stream_end(tenants=query.tenants)):
                assert {door_and_number(each)[0] for each in place.next_offsets} == doors

    async def test_a_place_of_before_the_door_stays_valid(
        self, store: RunStore, topics: Topics
    ) -> None:
        """The door's partitions are as new ones: all of them is still to come."""
        await store.apply([topics.event(1), topics.event(2)])
        place = StreamPlace.parse("1:1")
        await store.apply([topics.event(1, tenant="globex")])
        page = await store.view.all_events(ALL, after=place, limit=10, max_bytes=10**6)
        assert [(each.partition, each.offset) for each in page.events] == [(1, 1), ("globex/1", 0)]

    async def test_what_a_door_s_topic_deleted_unread_is_missing(
        self, store: RunStore, topics: Topics
    ) -> None:
        await store.apply(self.both(topics, 12))
        middle = await store.view.stream_end()
        for _ in range(10):
            missed = topics.event(1, tenant="globex").position.offset
        await store.delete_records_before(missed + 1, topics=DOOR)
        with pytest.raises(LogTruncatedError, match="partition globex/0"):
            await store.view.all_events(
                RunFilter(tenant="globex"), after=middle, limit=10, max_bytes=10**6
            )

    async def test_old_runs_of_a_door_are_forgotten_with_their_events(
        self, store: RunStore, topics: Topics
    ) -> None:
        topics.time = store.now() - timedelta(days=31)
        await store.apply([topics.request("old", tenant="globex")])
        await store.apply([topics.event(1, Phase.FAILED, run_id="old", tenant="globex")])
        begin = StreamPlace.parse("globex/1:0")
        topics.time = store.now()
        await store.apply([topics.event(1, Phase.SUCCEEDED, run_id="new", tenant="globex")])
        await store.delete_records_before(1000, topics=DOOR)
        await store.forget_old_runs()
        assert await ids(store) == ["new"]
        with pytest.raises(LogTruncatedError):
            await store.view.all_events(ALL, after=begin, limit=10, max_bytes=10**6)


def _place(record: IncomingRecord) -> tuple[int, int]:
    return record.position.partition, record.position.offset


class RunViewPortSuite(
    ProjectionSuite, ListSuite, QueueSuite, StreamSuite, HistorySuite, DoorSuite
):
    """All of it."""
