"""Quotas: how many requests a principal and a tenant may send in a time."""

from pathlib import Path

import pytest
from aiohttp import ClientResponse
from hypothesis import given
from hypothesis import strategies as st

from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.identity import Scope
from sluice_gateway.domain.quotas import Quota, take, usage_at
from sluice_gateway.services.request_quotas import RequestQuotas
from tests.unit.gateway.harness import GREET, Gateway, published
from tests.unit.gateway.identities import as_, grant, granting_gateway

quotas = st.builds(
    Quota,
    name=st.just("principal"),
    requests=st.integers(1, 50),
    window=st.floats(0.5, 3600),
)


@given(quotas, st.lists(st.floats(0, 100), max_size=120))
def test_no_window_has_more_requests_than_twice_the_quota(
    quota: Quota, pauses: list[float]
) -> None:
    """As many at once, and as many again while those are restored."""
    now, restored_at, taken = 1000.0, 0.0, []
    for pause in pauses:
        now += pause
        before = usage_at(quota, restored_at, now=now)
        restored_at, usage = take(quota, restored_at, now=now)
        assert (usage.retry_after is None) == (before.left > 0)
        assert usage.left == max(0, before.left - 1)
        assert usage.restored_in <= quota.window * 1.01
        if usage.retry_after is None:
            taken.append(now)
        in_window = [each for each in taken if each > now - quota.window]
        assert len(in_window) <= 2 * quota.requests


@given(quotas, st.integers(1, 200))
def test_as_many_as_the_quota_may_come_at_once(quota: Quota, wanted: int) -> None:
    restored_at, allowed = 0.0, 0
    for _ in range(wanted):
        restored_at, usage = take(quota, restored_at, now=5.0)
        allowed += usage.retry_after is None
    assert allowed == min(wanted, quota.requests)


@given(quotas)
def test_a_request_is_allowed_after_the_time_that_was_said(quota: Quota) -> None:
    restored_at, usage = 0.0, usage_at(quota, 0.0, now=5.0)
    while usage.retry_after is None:
        restored_at, usage = take(quota, restored_at, now=5.0)
    _, usage = take(quota, restored_at, now=5.0 + usage.retry_after)
    assert usage.retry_after is None


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def counting(clock: Clock) -> RequestQuotas:
    return RequestQuotas(
        per_principal=Quota(name="principal", requests=3, window=60),
        per_tenant=Quota(name="tenant", requests=4, window=60),
        clock=clock,
    )


def allowed(quotas: RequestQuotas, principal: str, tenant: str) -> int:
    """Take until it is refused; return how many were allowed."""
    taken = 0
    while True:
        try:
            quotas.take(principal=principal, tenant=tenant)
        except ProblemError:
            return taken
        taken += 1


def test_principals_share_the_quota_of_a_tenant() -> None:
    counted = counting(Clock())
    assert [allowed(counted, "a", "acme"), allowed(counted, "b", "acme")] == [3, 1]
    # What the tenant's quota refused did not count for the principal.
    assert allowed(counted, "b", "other") == 2


def test_a_quota_is_restored_evenly() -> None:
    clock = Clock()
    counted = counting(clock)
    assert allowed(counted, "a", "acme") == 3
    clock.now = 20
    assert allowed(counted, "a", "other") == 1
    clock.now = 1000
    assert allowed(counted, "a", "third") == 3


def test_keys_that_are_restored_are_forgotten() -> None:
    clock = Clock()
    counted = counting(clock)
    for number in range(30_000):
        clock.now = number
        counted.take(principal=f"p{number}", tenant=f"t{number}")
    assert len(counted._restored_at) <= 2 * 10_000 + 2


def shown(response: ClientResponse) -> tuple[int, str, str, str | None]:
    headers = response.headers
    return (
        response.status,
        headers["RateLimit-Policy"],
        headers["RateLimit"],
        headers.get("Retry-After"),
    )


async def post(gateway: Gateway, name: str, run_id: str) -> ClientResponse:
    return await gateway.client.post("/v1/runs", json=GREET | {"id": run_id}, headers=as_(name))


async def test_answers_say_what_is_left_and_when_to_try_again(tmp_path: Path) -> None:
    clock = Clock()
    grants = [grant(name, Scope.START, Scope.READ, Scope.COMMAND) for name in ("ada", "bob")]
    async with granting_gateway(tmp_path, *grants, quotas=counting(clock)) as gateway:
        policy = '"principal";q=3;w=60'
        for left in (2, 1, 0):
            response = await post(gateway, "ada", f"run-{left}")
            assert shown(response)[:3] == (202, policy, f'"principal";r={left};t={60 - left * 20}')
        refused = await post(gateway, "ada", "run-9")
        assert shown(refused) == (429, policy, '"principal";r=0;t=60', "20")
        assert (await refused.json(content_type=None))["type"].endswith(":rate-limited")
        # Another principal has its own quota, and shares that of the tenant.
        assert (await post(gateway, "bob", "bob-1")).status == 202
        assert (await post(gateway, "bob", "bob-2")).status == 429
        reading = await gateway.client.get("/v1/runs", headers=as_("ada"))
        assert (reading.status, "RateLimit" in reading.headers) == (200, False)
        assert len(gateway.requests()) == 4
        clock.now = 20
        assert (await post(gateway, "ada", "run-9")).status == 202


async def test_commands_and_items_of_batches_count(tmp_path: Path) -> None:
    access = grant("ada", Scope.START, Scope.READ, Scope.COMMAND)
    async with granting_gateway(tmp_path, access, quotas=counting(Clock())) as gateway:
        await gateway.publish(published(1))
        stopped = await gateway.client.post("/v1/runs/order-1/stop", headers=as_("ada"))
        assert stopped.status == 202
        batch = await gateway.client.post(
            "/v1/runs:batch",
            data="\n".join(['{"workflow":"greet","parameters":{"name":"A"}}'] * 3),
            headers={"Content-Type": "application/x-ndjson", **as_("ada")},
        )
        items = (await batch.json())["items"]
        assert [item["status"] for item in items] == [202, 202, 429]


async def test_what_is_not_granted_is_not_counted(tmp_path: Path) -> None:
    access = grant("ada", Scope.START, tenants=("acme",))
    async with granting_gateway(tmp_path, access, quotas=counting(Clock())) as gateway:
        for number in range(5):
            response = await post(gateway, "ada", f"run-{number}")
            assert response.status == 403
            assert response.headers["RateLimit"] == '"principal";r=3;t=0'


@pytest.mark.parametrize("requests", [1, 1000])
def test_headers_are_structured_fields(requests: int) -> None:
    quota = Quota(name="principal", requests=requests, window=90.5)
    assert quota.policy == f'"principal";q={requests};w=91'
    assert usage_at(quota, 0.0, now=1.0).header == f'"principal";r={requests};t=0'
