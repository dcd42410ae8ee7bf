"""Which waiting request starts next, so that tenants share live runs by their weights.

Next is the tenant with the smallest `(live + 1 - credit) / weight` of those that have a request
which no limit holds. While a tenant waits, each start of another one earns it credit: its part of
the weights that wait, up to one run. Its own start uses the credit up. Without credit a tenant
whose share is less than one run would never start any beside one that always has work.

Inside a tenant the oldest request is next, where `high` counts as 10 minutes older and `low` as 30
minutes younger. So a request of low priority is overtaken by those of the next 40 minutes at most.

All starts advance one *virtual time* by `1 / (weights that wait)`. A tenant's credit is its weight
multiplied by the virtual time since its last start. It need not be stored for each tenant.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from sluice_contracts.requests import Priority
from sluice_dispatcher.domain.indexed_heap import IndexedHeap
from sluice_dispatcher.domain.pauses import Pauses
from sluice_dispatcher.domain.wait_reason import WaitReason
from sluice_runtime.live_limits import NO_LIMITS, Limits

__all__ = ["BONUS_MS", "FairQueue", "Waiting"]

BONUS_MS: Final[Mapping[Priority, int]] = {"high": 600_000, "normal": 0, "low": -1_800_000}
"""How much older a request counts by its priority, in milliseconds."""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A request that wants to start; `token` identifies it among those that wait."""

    token: str
    tenant: str
    workflow: str
    priority: Priority
    accepted_ms: int


_Requests = IndexedHeap[str]


@dataclass(eq=False, kw_only=True)
class _Tenant:
    name: str
    weight: float
    number: int
    since: float
    """The virtual time of its last start, or when it began to wait."""
    requests: dict[str, _Requests] = field(default_factory=dict)
    is_ranked: bool = False


class _Ranking:
    """Tenants with requests for one workflow: those that earn credit, and those that have it."""

    def __init__(self) -> None:
        self.earning: IndexedHeap[str] = IndexedHeap()
        self.earned: IndexedHeap[str] = IndexedHeap()

    def __len__(self) -> int:
        return len(self.earning) + len(self.earned)

    def discard(self, tenant: str) -> None:
        self.earning.discard(tenant)
        self.earned.discard(tenant)


class FairQueue:
    """The requests that wait to start, and how many runs are live.

    Every method but `configure` takes time logarithmic in the number of requests and tenants.
    `next` also looks once at each workflow that has requests.
    """

    def __init__(self) -> None:
        self._limits = NO_LIMITS
        self._pauses = Pauses()
        self._waiting: dict[str, Waiting] = {}
        self._tenants: dict[str, _Tenant] = {}
        self._rankings: dict[str, _Ranking] = {}
        self._full_credit_at: IndexedHeap[str] = IndexedHeap()
        self._ranked_weight = 0.0
        self._virtual_time = 0.0
        self._numbers = itertools.count()
        self._live = 0
        self._live_of_tenant: Counter[str] = Counter()
        self._live_of_workflow: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Waiting]:
        """Iterate over a copy of the requests, in no particular order."""
        return iter(list(self._waiting.values()))

    @property
    def live(self) -> int:
        """Runs that are live."""
        return self._live

    def live_of(self, tenant: str) -> int:
        """Return how many runs of a tenant are live."""
        return self._live_of_tenant[tenant]

    def waiting_of(self, tenant: str) -> int:
        """Return how many requests of a tenant wait."""
        known = self._tenants.get(tenant)
        return 0 if known is None else sum(map(len, known.requests.values()))

    def configure(self, limits: Limits, pauses: Pauses) -> None:
        """Replace limits, weights and pauses; they act from the next decision on."""
        self._limits, self._pauses = limits, pauses
        for tenant in self._tenants.values():
            self._unrank(tenant)
            tenant.weight = limits.of_tenant(tenant.name).weight
            self._rank(tenant)

    def count(self, *, tenant: str, workflow: str, change: int) -> None:
        """Add to the live runs, or subtract from them: `change` is 1 or -1."""
        self._live += change
        for counter, name in (
            (self._live_of_tenant, tenant),
            (self._live_of_workflow, workflow),
        ):
            counter[name] += change
            if not counter[name]:
                del counter[name]
        if (known := self._tenants.get(tenant)) is not None:
            self._unrank(known)
            self._rank(known)

    def offer(self, request: Waiting) -> None:
        """Add a request; a token that waits already is left as it is."""
        if request.token in self._waiting:
            return
        self._waiting[request.token] = request
        tenant = self._tenants.get(request.tenant)
        if tenant is None:
            tenant = self._tenants[request.tenant] = _Tenant(
                name=request.tenant,
                weight=self._limits.of_tenant(request.tenant).weight,
                number=next(self._numbers),
                since=self._virtual_time,
            )
        is_first = request.workflow not in tenant.requests
        if is_first:
            self._unrank(tenant)
        own = tenant.requests.setdefault(request.workflow, IndexedHeap())
        age = float(request.accepted_ms - BONUS_MS[request.priority])
        own.put(request.token, (age, 0.0, next(self._numbers)))
        if is_first:
            self._rank(tenant)

    def withdraw(self, token: str) -> None:
        """Remove a request; one that does not wait is ignored."""
        if (request := self._waiting.pop(token, None)) is None:
            return
        tenant = self._tenants[request.tenant]
        own = tenant.requests[request.workflow]
        own.discard(token)
        if not own:
            self._unrank(tenant)
            del tenant.requests[request.workflow]
            if tenant.requests:
                self._rank(tenant)
            else:
                del self._tenants[tenant.name]

    def next(self) -> Waiting | None:
        """Return the request that starts now, and count it as live; None if limits hold all."""
        limit = self._limits.live
        if limit is not None and self._live >= limit:
            return None
        self._move_full_credits()
        tenant = self._next_tenant()
        if tenant is None:
            return None
        token = min(
            (own.rank_of(first), first)
            for workflow, own in tenant.requests.items()
            if self._may_start(workflow) and (first := own.first) is not None
        )[1]
        request = self._waiting[token]
        self._virtual_time += 1 / self._ranked_weight
        tenant.since = self._virtual_time
        self.withdraw(token)
        self.count(tenant=request.tenant, workflow=request.workflow, change=1)
        return request

    def held_by(self, request: Waiting) -> WaitReason:
        """Return why a request has not started."""
        tenant = self._limits.of_tenant(request.tenant)
        workflow = self._limits.of_workflow(request.workflow)
        if self.is_paused(tenant=request.tenant, workflow=request.workflow):
            return self.pause_reason(request.tenant)
        if tenant.live is not None and self._live_of_tenant[request.tenant] >= tenant.live:
            return WaitReason.TENANT_LIMIT
        if workflow.live is not None and self._live_of_workflow[request.workflow] >= workflow.live:
            return WaitReason.WORKFLOW_LIMIT
        return WaitReason.LIVE_LIMIT

    def pause_of(self, *, tenant: str, workflow: str) -> str | None:
        """Return in words what is paused and why; None if a run of both may start."""
        pauses, limits = self._pauses, self._limits
        why = pauses.tenants.get(tenant)
        if why is None and (given := limits.of_tenant(tenant).paused) is not None:
            why = f"paused: {given}"
        if why is not None:
            return f"The tenant {tenant} is {why}"
        why = pauses.workflows.get(workflow)
        if why is None and (given := limits.of_workflow(workflow).paused) is not None:
            why = f"paused: {given}"
        return None if why is None else f"The workflow {workflow} is {why}"

    def is_paused(self, *, tenant: str, workflow: str) -> bool:
        """Return whether no run of this tenant and workflow may start."""
        return self._is_paused(tenant) or self._workflow_is_paused(workflow)

    def pause_reason(self, tenant: str) -> WaitReason:
        """Return why no run of a tenant that is paused starts."""
        return WaitReason.FORBIDDEN if self._pauses.hides(tenant) else WaitReason.PAUSED

    def _next_tenant(self) -> _Tenant | None:
        found: tuple[float, float, int, str] | None = None
        for workflow, ranking in self._rankings.items():
            if not self._may_start(workflow):
                continue
            for heap, elapsed in ((ranking.earning, self._virtual_time), (ranking.earned, 0.0)):
                if (first := heap.first) is not None:
                    value, since, number = heap.rank_of(first)
                    candidate = (value - elapsed, since, number, first)
                    found = candidate if found is None else min(found, candidate)
        return None if found is None else self._tenants[found[3]]

    def _move_full_credits(self) -> None:
        """Rank the tenants again whose credit has become a whole run."""
        while (name := self._full_credit_at.first) is not None:
            if self._full_credit_at.rank_of(name)[0] > self._virtual_time:
                return
            tenant = self._tenants[name]
            self._unrank(tenant)
            self._rank(tenant)

    def _rank(self, tenant: _Tenant) -> None:
        limit = self._limits.of_tenant(tenant.name).live
        live = self._live_of_tenant[tenant.name]
        if self._is_paused(tenant.name) or (limit is not None and live >= limit):
            return
        if not tenant.requests:
            return
        tenant.is_ranked = True
        self._ranked_weight += tenant.weight
        full_at = tenant.since + 1 / tenant.weight
        has_full_credit = full_at <= self._virtual_time
        if not has_full_credit:
            self._full_credit_at.put(tenant.name, (full_at, 0.0, tenant.number))
        for workflow in tenant.requests:
            ranking = self._rankings.setdefault(workflow, _Ranking())
            if has_full_credit:
                value = live / tenant.weight
                ranking.earned.put(tenant.name, (value, tenant.since, tenant.number))
            else:
                value = tenant.since + (live + 1) / tenant.weight
                ranking.earning.put(tenant.name, (value, tenant.since, tenant.number))

    def _unrank(self, tenant: _Tenant) -> None:
        if not tenant.is_ranked:
            return
        tenant.is_ranked = False
        self._ranked_weight -= tenant.weight
        self._full_credit_at.discard(tenant.name)
        for workflow in tenant.requests:
            ranking = self._rankings[workflow]
            ranking.discard(tenant.name)
            if not ranking:
                del self._rankings[workflow]

    def _may_start(self, workflow: str) -> bool:
        limit = self._limits.of_workflow(workflow).live
        if self._workflow_is_paused(workflow):
            return False
        return limit is None or self._live_of_workflow[workflow] < limit

    def _is_paused(self, tenant: str) -> bool:
        if self._pauses.hides(tenant):
            return True
        return tenant in self._pauses.tenants or self._limits.of_tenant(tenant).paused is not None

    def _workflow_is_paused(self, workflow: str) -> bool:
        paused = self._limits.of_workflow(workflow).paused is not None
        return paused or workflow in self._pauses.workflows
