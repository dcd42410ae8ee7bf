"""Which principals may do what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from sluice_contracts.ids import RunKey
from sluice_gateway.domain.identity import (
    EVERYTHING,
    Access,
    Grant,
    Grants,
    Principal,
    PrincipalKind,
    Scope,
    WatchedRun,
    claim,
)
from sluice_gateway.domain.reach import ANY, Area, Reach

TENANTS = ("acme", "globex", "initech")
WORKFLOWS = ("hello", "report")

scopes = st.sampled_from(Scope)
tenants = st.sampled_from(TENANTS)
workflows = st.sampled_from((*WORKFLOWS, None))


def names(known: tuple[str, ...]) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from((*known, ANY)))


areas = st.builds(Area, tenants=names(TENANTS), workflows=names(WORKFLOWS))
principals = st.builds(
    Principal,
    kind=st.sampled_from(PrincipalKind),
    id=st.sampled_from(("one", "two")),
    claims=st.dictionaries(st.sampled_from(("iss", "ref")), st.sampled_from(("x", "y"))),
)
grants = st.builds(
    Grant,
    area=areas,
    scopes=st.frozensets(scopes),
    principals=st.frozensets(
        st.builds(
            "{}:{}".format, st.sampled_from(PrincipalKind), st.sampled_from(("one", "two", ANY))
        )
    ),
    claims=st.frozensets(
        st.tuples(st.sampled_from(("iss", "ref")), st.sampled_from(("x", "y"))), max_size=2
    ),
)


def principal(
    kind: PrincipalKind = PrincipalKind.WORKLOAD, name: str = "one", **claims: JsonValue
) -> Principal:
    return Principal(kind=kind, id=name, claims=claims)


def grant(
    *principals: str,
    tenants: tuple[str, ...] = (ANY,),
    workflows: tuple[str, ...] = (ANY,),
    scopes: tuple[Scope, ...] = (Scope.READ,),
    claims: dict[str, str] | None = None,
) -> Grant:
    return Grant(
        area=Area(tenants=frozenset(tenants), workflows=frozenset(workflows)),
        scopes=frozenset(scopes),
        principals=frozenset(principals),
        claims=frozenset((claims or {}).items()),
    )


@given(principals, scopes, tenants, workflows)
def test_nothing_is_allowed_without_a_grant(
    who: Principal, scope: Scope, tenant: str, workflow: str | None
) -> None:
    access = Grants().access_of(who)
    assert not access.allows(scope, tenant=tenant, workflow=workflow)
    assert not access.allows_for_run(scope, RunKey(tenant, "r"), workflow=workflow)
    assert not access.allows_somewhere(scope)


@given(st.lists(grants), grants, principals, scopes, tenants, workflows)
def test_one_more_grant_never_allows_less(
    some: list[Grant],
    more: Grant,
    who: Principal,
    scope: Scope,
    tenant: str,
    workflow: str | None,
) -> None:
    before = Grants(tuple(some)).access_of(who)
    after = Grants((*some, more)).access_of(who)
    assert after.allows(scope, tenant=tenant, workflow=workflow) >= before.allows(
        scope, tenant=tenant, workflow=workflow
    )


@given(st.lists(grants), principals, scopes, tenants, workflows)
def test_allowed_is_what_one_grant_alone_allows(
    some: list[Grant], who: Principal, scope: Scope, tenant: str, workflow: str | None
) -> None:
    together = Grants(tuple(some)).access_of(who).allows(scope, tenant=tenant, workflow=workflow)
    assert together == any(
        each.is_for(who)
        and scope in each.scopes
        and (ANY in each.area.tenants or tenant in each.area.tenants)
        and (ANY in each.area.workflows or workflow in each.area.workflows)
        for each in some
    )


@given(grants, principals, scopes, tenants, workflows)
def test_a_wildcard_allows_what_each_name_allows(
    one: Grant, who: Principal, scope: Scope, tenant: str, workflow: str | None
) -> None:
    wide = Grant(
        area=Area(tenants=frozenset({ANY}), workflows=frozenset({ANY})),
        scopes=one.scopes,
        principals=frozenset(f"{each.partition(':')[0]}:{ANY}" for each in one.principals),
        claims=one.claims,
    )
    narrow = Grants((one,)).access_of(who).allows(scope, tenant=tenant, workflow=workflow)
    assert Grants((wide,)).access_of(who).allows(scope, tenant=tenant, workflow=workflow) >= narrow


@given(st.lists(areas), tenants, workflows)
def test_a_reach_has_what_its_areas_have(
    some: list[Area], tenant: str, workflow: str | None
) -> None:
    reach = Reach.of(some)
    assert reach.has(tenant=tenant, workflow=workflow) == any(
        each.has(tenant=tenant, workflow=workflow) for each in some
    )
    assert not reach.has(tenant=tenant, workflow=workflow) or reach.has_tenant(tenant)
    assert reach.has(tenant=tenant, workflow=workflow) or not reach.everything
    assert bool(reach) >= reach.has(tenant=tenant, workflow=workflow)


def test_a_run_of_an_unknown_workflow_is_in_areas_of_all_workflows_alone() -> None:
    named = grant("workload:one", workflows=("hello",), tenants=("acme",))
    every = grant("workload:one", tenants=("acme",))
    for each, allowed in ((named, False), (every, True)):
        access = Grants((each,)).access_of(principal())
        assert access.allows(Scope.READ, tenant="acme", workflow=None) == allowed
        assert access.allows_for_run(Scope.READ, RunKey("acme", "r"), workflow=None) == allowed


@given(scopes, tenants, workflows)
def test_everything_is_everything(scope: Scope, tenant: str, workflow: str | None) -> None:
    assert EVERYTHING.allows(scope, tenant=tenant, workflow=workflow)
    assert EVERYTHING.reach(scope).everything


def test_no_scope_includes_another() -> None:
    access = Access(grants=frozenset({grant("api_key:ops", scopes=(Scope.ADMIN,))}))
    allowed = [each for each in Scope if access.allows(each, tenant="acme", workflow="hello")]
    assert allowed == [Scope.ADMIN]


def test_a_grant_that_names_nobody_is_for_nobody() -> None:
    assert not grant().is_for(principal())


def test_a_grant_needs_the_principal_and_the_claims_that_it_names() -> None:
    both = grant("workload:one", claims={"iss": "x"})
    assert both.is_for(principal(iss="x"))
    assert not both.is_for(principal(iss="y"))
    assert not both.is_for(principal(name="two", iss="x"))
    assert not both.is_for(principal(PrincipalKind.USER, iss="x"))


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        ("4711", True),
        (4711, True),
        (["1", "4711"], True),
        ([4711], True),
        ("47110", False),
        (None, False),
        (["1"], False),
        ([["4711"]], False),
        ({"4711": "4711"}, False),
    ],
)
def test_a_claim_is_the_text_or_lists_it(value: JsonValue, *, holds: bool) -> None:
    by_id = grant(claims={"repository_id": "4711"})
    assert by_id.is_for(principal(repository_id=value)) == holds


def test_a_claim_that_is_true_is_not_a_number() -> None:
    assert not grant(claims={"admin": "True"}).is_for(principal(admin=True))
    assert not grant(claims={"admin": "1"}).is_for(principal(admin=True))


def test_a_pointer_reaches_into_a_claim() -> None:
    claims: dict[str, JsonValue] = {"kubernetes.io": {"serviceaccount": {"uid": "u"}}, "a/b": "c"}
    assert claim(claims, "/kubernetes.io/serviceaccount/uid") == "u"
    assert claim(claims, "/a~1b") == "c"
    assert claim(claims, "/kubernetes.io/pod/uid") is None
    assert claim(claims, "/a~1b/c") is None


def test_a_watch_link_shows_one_run_and_nothing_else() -> None:
    key = RunKey("acme", "order-1")
    who = Principal(
        kind=PrincipalKind.WATCH_LINK,
        id=str(key),
        watched=WatchedRun(key=key, workflow="greet", payloads=False),
    )
    access = Grants((grant("watch_link:*", scopes=tuple(Scope)),)).access_of(who)
    assert access.allows_for_run(Scope.READ, key, workflow="greet")
    assert not access.allows_for_run(Scope.READ, key, workflow="other")
    assert not access.allows_for_run(Scope.READ, key, workflow=None)
    assert not access.allows_for_run(Scope.PAYLOADS, key, workflow="greet")
    assert not access.allows_for_run(Scope.COMMAND, key, workflow="greet")
    assert not access.allows_for_run(Scope.READ, RunKey("acme", "order-2"), workflow="greet")
    assert not access.allows(Scope.READ, tenant="acme", workflow="greet")


def test_a_watch_link_shows_payloads_if_it_says_so() -> None:
    key = RunKey("acme", "order-1")
    who = Principal(
        kind=PrincipalKind.WATCH_LINK,
        id=str(key),
        watched=WatchedRun(key=key, workflow="greet", payloads=True),
    )
    access = Grants().access_of(who)
    assert access.allows_for_run(Scope.PAYLOADS, key, workflow="greet")


def test_a_principal_is_written_without_its_claims() -> None:
    who = principal(email="ada@example.com")
    assert str(who) == "workload:one"
    assert "ada" not in repr(who)
