"""What a watch link opens over HTTP: one run, for reading, and nothing else."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice_contracts.ids import RunKey
from sluice_contracts.status import Phase
from sluice_gateway.domain.identity import Grants, Principal, Scope, WatchedRun
from sluice_gateway.domain.key_ring import KeyRing, RingKey
from sluice_gateway.handlers.operations import Operation
from sluice_gateway.handlers.table import OPERATIONS
from sluice_gateway.identity_ports import Credentials
from sluice_gateway.services.authentication import AuthenticatorChain
from sluice_gateway.services.identification import GrantedIdentification
from sluice_gateway.services.watch_links import WatchLinks
from tests.unit.gateway.harness import GREET, Gateway, published, running_gateway
from tests.unit.gateway.identities import FakeAuthenticator, as_, grant
from tests.unit.gateway.test_operations import address

NOW = datetime(2026, 9, 1, 12, 0, 0, tzinfo=UTC)
OPENED = {"getRun", "followRun", "getOutcome"}
KEY = RunKey("default", "order-1")
GRANTS = Grants(
    (
        grant("all", *Scope),
        grant("reader", Scope.START, Scope.READ),
        grant("starter", Scope.START),
        grant("greeter", Scope.START, Scope.READ, workflows=("greet",)),
    )
)


class Clock:
    """What says how late it is."""

    now = NOW


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def links(clock: Clock) -> WatchLinks:
    return WatchLinks(
        ring=lambda: KeyRing((RingKey(id="a", secret=b"a" * 32),)),
        lifetime=timedelta(hours=1),
        now=lambda: clock.now,
    )


class _Names:
    """Takes every token that has no form: its text is the name of a principal."""

    def __init__(self, chain: AuthenticatorChain) -> None:
        self._chain = chain

    async def authenticate(self, credentials: Credentials) -> Principal:
        if credentials.value.startswith("slw_"):
            return await self._chain.authenticate(credentials)
        return await FakeAuthenticator().authenticate(credentials)


@pytest.fixture
async def linking(tmp_path: Path, links: WatchLinks) -> AsyncIterator[Gateway]:
    identification = GrantedIdentification(
        _Names(AuthenticatorChain(watch_links=links)), grants=lambda: GRANTS
    )
    async with running_gateway(
        tmp_path, identification=identification, watch_links=links
    ) as gateway:
        await gateway.publish(
            published(1, Phase.SUCCEEDED, outputs={"said": "hello"}),
            published(2, Phase.SUCCEEDED, run_id="order-2"),
            published(3, Phase.SUCCEEDED, tenant="other"),
        )
        yield gateway


def other_runs() -> st.SearchStrategy[RunKey]:
    """Give runs beside the one that the link is for."""
    keys = st.sampled_from(["order-1", "order-2", "order-3"])
    tenants = st.sampled_from(["default", "other"])
    return st.builds(RunKey, tenants, keys).filter(lambda key: key != KEY)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    operation=st.sampled_from([each for each in OPERATIONS if each.scopes]),
    shown=st.builds(
        WatchedRun,
        key=other_runs() | st.just(KEY),
        workflow=st.sampled_from(["greet", "other"]),
        payloads=st.booleans(),
    ),
    head=st.booleans(),
    in_header=st.booleans(),
)
async def test_a_link_opens_three_operations_of_its_run_and_nothing_else(
    linking: Gateway,
    links: WatchLinks,
    operation: Operation,
    shown: WatchedRun,
    *,
    head: bool,
    in_header: bool,
) -> None:
    token = links.token(shown)
    response = await linking.client.request(
        "HEAD" if head and operation.method == "GET" else operation.method,
        address(operation.path),
        params={} if in_header else {"watch": token},
        headers=as_(token) if in_header else {},
        data=b"{}" if operation.body else None,
    )
    if operation.id in OPENED and not in_header:
        # Another run's link sees what anybody sees of a run that does not exist.
        is_shown = (shown.key, shown.workflow) == (KEY, "greet")
        assert response.status == (200 if is_shown else 404)
    else:
        assert response.status == 401
    assert not linking.requests()


def test_what_a_link_opens_is_listed_here() -> None:
    assert {each.id for each in OPERATIONS if each.takes_watch_links} == OPENED


async def test_the_answer_to_a_start_has_a_link_that_shows_the_run(
    linking: Gateway, clock: Clock
) -> None:
    response = await linking.client.post("/v1/runs", json=GREET, headers=as_("all"))
    assert response.status == 202
    answer = await response.json()
    link = answer["links"]["watch"]
    await linking.publish(
        published(4, Phase.SUCCEEDED, run_id=answer["id"], outputs={"said": "hello"})
    )
    events = await (await linking.client.get(link)).text()
    assert '"said":"hello"' in events
    watch = parse_qs(urlsplit(link).query)["watch"][0]
    for path in ("", "/outcome"):
        state = await linking.client.get(f"/v1/runs/{answer['id']}{path}", params={"watch": watch})
        assert (await state.json())["phase"] == "Succeeded"
    clock.now = NOW + timedelta(hours=1)
    assert (await linking.client.get(link)).status == 401


async def test_the_link_of_a_tenant_names_the_tenant(linking: Gateway) -> None:
    response = await linking.client.post(
        "/v1/runs", json={**GREET, "tenant": "acme"}, headers=as_("all")
    )
    link = (await response.json())["links"]["watch"]
    assert "?tenant=acme&watch=slw_" in link


async def test_a_link_shows_no_more_than_its_maker_may_see(linking: Gateway) -> None:
    started = await linking.client.post("/v1/runs", json=GREET, headers=as_("reader"))
    answer = await started.json()
    watch = parse_qs(urlsplit(answer["links"]["watch"]).query)["watch"][0]
    await linking.publish(
        published(4, Phase.SUCCEEDED, run_id=answer["id"], outputs={"said": "hello"})
    )
    state = await linking.client.get(f"/v1/runs/{answer['id']}", params={"watch": watch})
    assert "hello" not in await state.text()


async def test_who_may_not_read_a_run_gets_no_link_to_it(linking: Gateway) -> None:
    response = await linking.client.post("/v1/runs", json=GREET, headers=as_("starter"))
    assert response.status == 202
    assert "watch" not in (await response.json())["links"]


async def test_no_link_is_made_unless_they_are_switched_on(gateway: Gateway) -> None:
    response = await gateway.post(GREET)
    assert "watch" not in (await response.json())["links"]


async def test_two_links_in_one_request_are_refused(linking: Gateway, links: WatchLinks) -> None:
    token = links.token(WatchedRun(key=KEY, workflow="greet", payloads=True))
    response = await linking.client.get(f"/v1/runs/order-1?watch={token}&watch={token}")
    assert response.status == 401


async def test_a_link_is_read_only_though_its_reader_could_do_more(
    linking: Gateway, links: WatchLinks
) -> None:
    token = links.token(WatchedRun(key=KEY, workflow="greet", payloads=True))
    response = await linking.client.post(
        "/v1/runs/order-1/stop", params={"watch": token}, headers=as_("all")
    )
    assert response.status == 422


async def test_a_link_does_not_open_a_run_of_another_workflow(
    linking: Gateway, links: WatchLinks
) -> None:
    """The maker may not know that the id is taken: its own request is refused only later."""
    await linking.publish(published(1))
    token = links.token(WatchedRun(key=KEY, workflow="other", payloads=True))
    response = await linking.client.get(f"/v1/runs/order-1?watch={token}")
    assert response.status == 404
