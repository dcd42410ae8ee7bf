"""What is live and what waits, against what may be live."""

from sluice_contracts.status import Phase
from sluice_gateway.domain.load import Load, LoadReport, load_report
from sluice_gateway.domain.reach import ANY, Area, Reach
from sluice_gateway.domain.run_query import KindCount
from sluice_runtime.live_limits import Limits, TenantLimits, WorkflowLimits

KINDS = (
    KindCount("acme", "greet", Phase.RUNNING, 2),
    KindCount("acme", "greet", Phase.ACCEPTED, 5),
    KindCount("acme", "count", Phase.SUSPENDED, 1),
    KindCount("globex", "greet", Phase.PENDING, 3),
    KindCount("globex", "greet", Phase.SUBMITTED, 1),
    # Nothing is known of it but that it waits.
    KindCount("globex", None, Phase.ACCEPTED, 4),
)
LIMITS = Limits(
    live=100,
    tenants={"acme": TenantLimits(weight=3, live=10, paused="unpaid"), "*": TenantLimits(live=20)},
    workflows={"greet": WorkflowLimits(live=7, paused="moved")},
)


def reach(*areas: tuple[str, str]) -> Reach:
    return Reach.of(
        Area(tenants=frozenset({tenant}), workflows=frozenset({workflow}))
        for tenant, workflow in areas
    )


def report(seen: Reach, limits: Limits | None = LIMITS) -> LoadReport:
    kinds = [each for each in KINDS if seen.has(tenant=each.tenant, workflow=each.workflow)]
    return load_report(kinds, workflows=["greet", "count"], limits=limits, reach=seen)


def test_who_sees_everything_sees_every_limit() -> None:
    found = report(reach((ANY, ANY)))
    assert found == LoadReport(
        total=Load(live=7, waiting=9, limit=100),
        tenants={
            "acme": Load(live=3, waiting=5, limit=10, weight=3, paused="unpaid"),
            "globex": Load(live=4, waiting=4, limit=20, weight=1),
        },
        more_tenants=0,
        workflows={
            "greet": Load(live=6, waiting=5, limit=7, paused="moved"),
            "count": Load(live=1, waiting=0),
        },
    )


def test_a_limit_that_counts_other_runs_too_is_not_shown() -> None:
    of_a_tenant = report(reach(("acme", ANY)))
    assert of_a_tenant.total == Load(live=3, waiting=5)
    assert of_a_tenant.tenants == {
        "acme": Load(live=3, waiting=5, limit=10, weight=3, paused="unpaid")
    }
    assert of_a_tenant.workflows["greet"] == Load(live=2, waiting=5)
    of_a_workflow = report(reach((ANY, "greet")))
    assert of_a_workflow.total == Load(live=6, waiting=5)
    assert of_a_workflow.tenants["acme"] == Load(live=2, waiting=5)
    assert of_a_workflow.workflows["greet"] == Load(live=6, waiting=5, limit=7, paused="moved")


def test_without_a_file_no_limit_and_no_weight_is_known() -> None:
    found = report(reach((ANY, ANY)), limits=None)
    assert found.total == Load(live=7, waiting=9)
    assert found.tenants["acme"] == Load(live=3, waiting=5)
    assert found.workflows["greet"] == Load(live=6, waiting=5)


def test_of_very_many_tenants_those_with_the_most_runs_are_shown() -> None:
    kinds = [
        KindCount(f"t{number:03}", "greet", Phase.ACCEPTED, number) for number in range(1, 503)
    ]
    found = load_report(kinds, workflows=[], limits=None, reach=reach((ANY, ANY)))
    assert found.more_tenants == 2
    assert list(found.tenants) == [f"t{number:03}" for number in range(3, 503)]
    assert found.total.waiting == sum(range(1, 503))
