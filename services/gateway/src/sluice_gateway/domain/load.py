"""What is live and what waits, against what may be live; pure."""

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sluice_contracts.status import Phase
from sluice_gateway.domain.reach import ANY, Area, Reach
from sluice_gateway.domain.run_query import KindCount
from sluice_runtime.live_limits import Limits

__all__ = ["UNFINISHED", "Load", "LoadReport", "load_report"]

_LIVE: Final = frozenset({Phase.SUBMITTED, Phase.PENDING, Phase.RUNNING, Phase.SUSPENDED})
UNFINISHED: Final = _LIVE | {Phase.ACCEPTED}
"""The phases of runs that are live or wait."""

_MOST_TENANTS: Final = 500


@dataclass(frozen=True, kw_only=True)
class Load:
    """Runs that are live and that wait, and how many may be live; None is not limited.

    `paused` is why the limits let nothing start.
    """

    live: int
    waiting: int
    limit: int | None = None
    weight: float | None = None
    paused: str | None = None


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """The load of all runs, of each tenant that has any, and of each workflow.

    `more_tenants` are left out, because they have the fewest runs.
    """

    total: Load
    tenants: dict[str, Load]
    more_tenants: int
    workflows: dict[str, Load]


@dataclass
class _Sum:
    live: Counter[str] = field(default_factory=Counter)
    waiting: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, kind: KindCount) -> None:
        (self.live if kind.phase in _LIVE else self.waiting)[name] += kind.runs

    def of(self, name: str) -> Load:
        return Load(live=self.live[name], waiting=self.waiting[name])


def load_report(
    kinds: Iterable[KindCount],
    *,
    workflows: Sequence[str],
    limits: Limits | None,
    reach: Reach,
) -> LoadReport:
    """Return the load of the runs that are counted, which are unfinished ones in the reach.

    A limit is shown to those who see all runs that it counts. Others would take what they see for
    all that is live, or learn of the rest.
    """
    total, of_tenants, of_workflows = _Sum(), _Sum(), _Sum()
    for kind in kinds:
        total.add("", kind)
        of_tenants.add(kind.tenant, kind)
        if kind.workflow is not None:
            of_workflows.add(kind.workflow, kind)

    def of_tenant(name: str) -> Load:
        load = of_tenants.of(name)
        if limits is None or not _sees(reach, tenant=name):
            return load
        limited = limits.of_tenant(name)
        return replace(load, limit=limited.live, weight=limited.weight, paused=limited.paused)

    def of_workflow(name: str) -> Load:
        load = of_workflows.of(name)
        if limits is None or not _sees(reach, workflow=name):
            return load
        limited = limits.of_workflow(name)
        return replace(load, limit=limited.live, paused=limited.paused)

    tenants = of_tenants.live + of_tenants.waiting
    shown = heapq.nlargest(_MOST_TENANTS, tenants, key=lambda name: (tenants[name], name))
    return LoadReport(
        total=replace(total.of(""), limit=limits.live if limits and reach.everything else None),
        tenants={name: of_tenant(name) for name in sorted(shown)},
        more_tenants=len(tenants) - len(shown),
        workflows={name: of_workflow(name) for name in workflows},
    )


def _sees(reach: Reach, *, tenant: str = ANY, workflow: str = ANY) -> bool:
    """Return whether the reach has all runs of the tenant and workflow; `*` is all of them."""
    wanted = Area(tenants=frozenset({tenant}), workflows=frozenset({workflow}))
    return any(area.covers(wanted) for area in reach.areas)
