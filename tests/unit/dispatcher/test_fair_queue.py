"""Which request starts next: shares by weight, the stated bound, priorities, holds and cost."""

import heapq
import itertools
import math
import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_contracts.requests import Priority
from sluice_dispatcher.domain.fair_queue import FairQueue, Waiting
from sluice_dispatcher.domain.indexed_heap import IndexedHeap
from sluice_dispatcher.domain.pauses import Pauses
from sluice_dispatcher.domain.wait_reason import WaitReason
from sluice_runtime.live_limits import Limits, TenantLimits, WorkflowLimits

MINUTE_MS = 60_000
TOKENS = itertools.count()


def request(
    tenant: str = "a",
    *,
    workflow: str = "hello",
    priority: Priority = "normal",
    accepted_ms: int = 0,
) -> Waiting:
    return Waiting(
        token=str(next(TOKENS)),
        tenant=tenant,
        workflow=workflow,
        priority=priority,
        accepted_ms=accepted_ms,
    )


def queue_with(
    *requests: Waiting,
    live: int | None = None,
    weights: dict[str, float] | None = None,
    workflows: dict[str, int] | None = None,
    tenants: dict[str, int] | None = None,
) -> FairQueue:
    queue = FairQueue()
    names = {**(weights or {}), **(tenants or {})}
    limits = Limits(
        live=live,
        tenants={
            name: TenantLimits(
                weight=(weights or {}).get(name, 1.0), live=(tenants or {}).get(name)
            )
            for name in names
        },
        workflows={name: WorkflowLimits(live=most) for name, most in (workflows or {}).items()},
    )
    queue.configure(limits, Pauses())
    for each in requests:
        queue.offer(each)
    return queue


def started(queue: FairQueue) -> list[Waiting]:
    found = []
    while (each := queue.next()) is not None:
        found.append(each)
    return found


def end(queue: FairQueue, run: Waiting) -> None:
    queue.count(tenant=run.tenant, workflow=run.workflow, change=-1)


class Cluster:
    """Runs of random length on `live` places; every tenant named always has a request."""

    def __init__(
        self, *, live: int, weights: dict[str, float], lengths: dict[str, float], seed: int
    ) -> None:
        self.queue = queue_with(live=live, weights=weights)
        self.weights = weights
        self.lengths = lengths
        self.rng = random.Random(seed)  # noqa: S311 - chooses lengths
        self.now = 0.0
        self.live: Counter[str] = Counter()
        self.live_time: dict[str, float] = defaultdict(float)
        self._ends: list[tuple[float, int, Waiting]] = []
        for tenant in weights:
            self.offer(tenant)

    def offer(self, tenant: str) -> None:
        self.queue.offer(request(tenant))

    def start(self) -> list[str]:
        names = []
        while (run := self.queue.next()) is not None:
            names.append(run.tenant)
            self.live[run.tenant] += 1
            length = self.rng.expovariate(1 / self.lengths[run.tenant])
            heapq.heappush(self._ends, (self.now + length, next(TOKENS), run))
            self.offer(run.tenant)
        return names

    def end_one(self) -> None:
        at, _, run = heapq.heappop(self._ends)
        for tenant, live in self.live.items():
            self.live_time[tenant] += live * (at - self.now)
        self.now = at
        self.live[run.tenant] -= 1
        end(self.queue, run)


WEIGHTS = st.dictionaries(
    st.sampled_from("abcdef"), st.sampled_from([0.5, 1.0, 2.0, 3.0, 10.0]), min_size=2
)


@settings(max_examples=25, deadline=None)
@given(
    weights=WEIGHTS,
    live=st.integers(40, 120),
    lengths=st.lists(st.sampled_from([1.0, 5.0, 60.0]), min_size=6, max_size=6),
    seed=st.integers(0, 1000),
)
def test_live_runs_are_shared_by_weight_however_long_the_runs_of_each_take(
    weights: dict[str, float], live: int, lengths: list[float], seed: int
) -> None:
    cluster = Cluster(
        live=live, weights=weights, lengths=dict(zip("abcdef", lengths, strict=True)), seed=seed
    )
    for step in range(3000):
        cluster.start()
        if step == 1000:
            # All began at once: from now on, starts follow ends.
            cluster.live_time.clear()
        cluster.end_one()
    total, weight = sum(cluster.live_time.values()), sum(weights.values())
    for tenant, own in weights.items():
        share = cluster.live_time[tenant] / total
        assert abs(share - own / weight) <= 0.05, (tenant, share, own / weight)


def test_runs_that_do_not_end_get_no_larger_share() -> None:
    queue = queue_with(*(request(tenant) for tenant in "ab" for _ in range(200)), live=10)
    live = started(queue)
    for _ in range(100):
        ended = next(run for run in live if run.tenant == "b")
        live.remove(ended)
        end(queue, ended)
        live += started(queue)
    assert Counter(run.tenant for run in live)["a"] == pytest.approx(5, abs=1)


def test_a_share_of_less_than_one_run_is_given_in_time() -> None:
    """Of 5 live runs, 1 of 11 weights is less than half a run: it is one run, half of the time."""
    cluster = Cluster(live=5, weights={"a": 10.0, "b": 1.0}, lengths={"a": 1.0, "b": 1.0}, seed=1)
    for _ in range(3000):
        cluster.start()
        cluster.end_one()
    share = cluster.live_time["b"] / sum(cluster.live_time.values())
    assert share == pytest.approx(1 / 11, abs=0.05)


@settings(max_examples=60, deadline=None)
@given(
    weights=WEIGHTS,
    live=st.integers(1, 40),
    before=st.integers(0, 300),
    lengths=st.lists(st.sampled_from([1.0, 60.0]), min_size=6, max_size=6),
    seed=st.integers(0, 1000),
    mine=st.sampled_from([0.5, 1.0, 4.0]),
)
def test_a_first_run_waits_for_a_bounded_number_of_starts(
    weights: dict[str, float],
    live: int,
    before: int,
    lengths: list[float],
    seed: int,
    mine: float,
) -> None:
    """The bound: weights that wait / own weight, rounded up, and one for each tenant that waits."""
    cluster = Cluster(
        live=live,
        weights={**weights, "mine": mine},
        lengths={**dict(zip("abcdef", lengths, strict=True)), "mine": 1.0},
        seed=seed,
    )
    cluster.queue.withdraw(next(each.token for each in cluster.queue if each.tenant == "mine"))
    for _ in range(before):
        cluster.start()
        cluster.end_one()
    cluster.start()
    cluster.offer("mine")
    others: list[str] = []
    while "mine" not in others:
        cluster.end_one()
        others += cluster.start()
    bound = math.ceil((sum(weights.values()) + mine) / mine) + len(weights)
    assert others.index("mine") <= bound


def test_of_equal_tenants_the_one_without_a_run_is_next_whatever_another_has_waiting() -> None:
    queue = queue_with(*(request("a") for _ in range(100_000)), live=10)
    running = started(queue)
    queue.offer(request("b"))
    end(queue, running[0])
    assert [run.tenant for run in started(queue)] == ["b"]


@settings(max_examples=60, deadline=None)
@given(weights=WEIGHTS, live=st.integers(1, 60), seed=st.integers(0, 1000))
def test_no_start_leads_by_more_than_one_run_of_each(
    weights: dict[str, float], live: int, seed: int
) -> None:
    """Live runs by weight of the tenant that starts, and of any other that waits."""
    cluster = Cluster(live=live, weights=weights, lengths=dict.fromkeys(weights, 1.0), seed=seed)
    for _ in range(300):
        for tenant in cluster.start():
            # `start` counts all starts of a round: look at the last one of each tenant.
            level = cluster.live[tenant] / weights[tenant]
            for other, weight in weights.items():
                lead = level - cluster.live[other] / weight
                assert lead <= 1 / weight + 1 / weights[tenant] + 1e-6
        cluster.end_one()


def test_a_changed_weight_acts_on_what_waits_at_the_next_decision() -> None:
    queue = queue_with(*(request(tenant) for tenant in "ab" for _ in range(100)), live=20)
    running = started(queue)
    assert Counter(run.tenant for run in running) == {"a": 10, "b": 10}
    queue.configure(Limits(live=40, tenants={"a": TenantLimits(weight=3.0)}), Pauses())
    more = started(queue)
    # The very next one, and until the live runs are shared by the new weights, to a run.
    assert more[0].tenant == "a"
    assert Counter(run.tenant for run in more)["a"] == pytest.approx(20, abs=1)


@given(
    st.lists(
        st.tuples(st.sampled_from(["high", "normal", "low"]), st.integers(0, 120)), max_size=30
    )
)
def test_a_request_is_overtaken_only_by_those_of_the_next_forty_minutes(
    arrivals: list[tuple[Priority, int]],
) -> None:
    requests = [
        request(priority=priority, accepted_ms=minute * MINUTE_MS) for priority, minute in arrivals
    ]
    order = started(queue_with(*requests))
    assert len(order) == len(requests)
    for place, run in enumerate(order):
        for later in order[place + 1 :]:
            assert run.accepted_ms - later.accepted_ms <= 40 * MINUTE_MS
            if run.priority == later.priority:
                assert run.accepted_ms <= later.accepted_ms


def test_a_priority_comes_before_lower_ones_of_its_time() -> None:
    order = started(
        queue_with(
            request(priority="low"),
            request(priority="normal"),
            request(priority="high", accepted_ms=9 * MINUTE_MS),
        )
    )
    assert [run.priority for run in order] == ["high", "normal", "low"]


def test_a_full_workflow_does_not_hold_up_other_workflows_of_the_tenant() -> None:
    held = request(workflow="hello")
    queue = queue_with(request(workflow="hello"), held, workflows={"hello": 1})
    queue.offer(request(workflow="diamond", accepted_ms=1))
    assert [run.workflow for run in started(queue)] == ["hello", "diamond"]
    assert queue.held_by(held) is WaitReason.WORKFLOW_LIMIT


def test_a_full_tenant_does_not_hold_up_others() -> None:
    first, held = request("a"), request("a")
    queue = queue_with(first, held, request("b"), tenants={"a": 1})
    assert [run.tenant for run in started(queue)] == ["a", "b"]
    assert queue.held_by(held) is WaitReason.TENANT_LIMIT
    end(queue, first)
    assert started(queue) == [held]


def test_what_all_runs_are_limited_by_is_named() -> None:
    held = request("b", workflow="diamond")
    queue = queue_with(request("a"), held, live=1)
    assert len(started(queue)) == 1
    assert queue.held_by(held) is WaitReason.LIVE_LIMIT


@pytest.mark.parametrize(
    ("limits", "pauses"),
    [
        (Limits(tenants={"a": TenantLimits(paused="migration")}), Pauses()),
        (Limits(workflows={"hello": WorkflowLimits(paused="migration")}), Pauses()),
        (Limits(), Pauses(tenants={"a": "paused."})),
        (Limits(), Pauses(workflows={"hello": "paused."})),
    ],
)
def test_what_is_paused_waits_until_it_is_not(limits: Limits, pauses: Pauses) -> None:
    paused, other = request("a"), request("b", workflow="diamond")
    queue = FairQueue()
    queue.configure(limits, pauses)
    queue.offer(paused)
    queue.offer(other)
    assert started(queue) == [other]
    assert queue.held_by(paused) is WaitReason.PAUSED
    queue.configure(Limits(), Pauses())
    assert started(queue) == [paused]


def test_limits_of_all_other_tenants_are_named_by_a_star() -> None:
    limits = Limits.model_validate({"tenants": {"*": {"live": 1}, "a": {"live": 2}}})
    queue = FairQueue()
    queue.configure(limits, Pauses())
    for tenant in "aaabbcc":
        queue.offer(request(tenant))
    assert Counter(run.tenant for run in started(queue)) == {"a": 2, "b": 1, "c": 1}


def test_a_withdrawn_request_never_starts() -> None:
    gone, kept = request("a"), request("a", accepted_ms=1)
    queue = queue_with(gone, kept)
    queue.withdraw(gone.token)
    queue.withdraw(gone.token)
    assert started(queue) == [kept]
    assert len(queue) == 0


def test_a_request_that_is_offered_again_starts_once() -> None:
    once = request("a")
    assert started(queue_with(once, once)) == [once]


class Comparisons:
    """How many entries were compared, in all heaps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        precedes = IndexedHeap._precedes

        def counting(heap: IndexedHeap[object], one: int, other: int) -> bool:
            self.count += 1
            return precedes(heap, one, other)

        monkeypatch.setattr(IndexedHeap, "_precedes", counting)


@pytest.mark.parametrize("many", ["requests", "tenants"])
def test_a_decision_compares_few_entries_however_many_wait(
    many: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start changes about eight heaps; a change compares three entries a level at most."""
    comparisons = Comparisons(monkeypatch)
    size = 20_000
    rng = random.Random(1)  # noqa: S311 - chooses an order
    queue = queue_with(live=50)
    worst = 0
    for number in range(size):
        before = comparisons.count
        tenant = f"t{number}" if many == "tenants" else f"t{number % 3}"
        queue.offer(request(tenant, accepted_ms=rng.randrange(size)))
        worst = max(worst, comparisons.count - before)
    running = started(queue)
    for _ in range(2000):
        before = comparisons.count
        end(queue, running.pop(0))
        running += started(queue)
        worst = max(worst, comparisons.count - before)
    assert len(running) == 50
    assert worst <= 8 * 3 * math.log2(size)
