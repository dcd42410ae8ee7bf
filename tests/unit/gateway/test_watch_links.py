"""Watch links show one run for a while."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_contracts.ids import RunKey
from sluice_gateway.domain.identity import Grants, Scope, WatchedRun
from sluice_gateway.domain.key_ring import KeyRing, RingKey
from sluice_gateway.domain.watch_links import MAX_TOKEN_CHARACTERS
from sluice_gateway.identity_ports import CredentialKind, Credentials, UnauthenticatedError
from sluice_gateway.services.watch_links import WatchLinks

NOW = datetime(2026, 9, 1, 12, 0, 0, 500_000, tzinfo=UTC)
OLD = RingKey(id="2026-08", secret=b"o" * 32)
NEW = RingKey(id="2026-09", secret=b"n" * 32)
KEY = RunKey("acme", "order-1")
RUN_IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", fullmatch=True)
TENANTS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)


def links(*keys: RingKey, now: datetime = NOW) -> WatchLinks:
    """Give what makes and reads links, with a lifetime of an hour."""
    return WatchLinks(ring=lambda: KeyRing(keys), lifetime=timedelta(hours=1), now=lambda: now)


async def shown(token: str, reader: WatchLinks) -> WatchedRun | None:
    principal = await reader.authenticate(Credentials(CredentialKind.WATCH, token))
    return principal.watched


async def refusal(token: str, reader: WatchLinks) -> str:
    with pytest.raises(UnauthenticatedError) as raised:
        await shown(token, reader)
    return str(raised.value)


@given(TENANTS, RUN_IDS, st.booleans())
async def test_a_link_shows_the_run_that_it_was_made_for(
    tenant: str, run_id: str, payloads: bool
) -> None:
    watched = WatchedRun(key=RunKey(tenant, run_id), workflow="greet", payloads=payloads)
    token = links(NEW).token(watched)
    assert await shown(token, links(NEW)) == watched
    assert len(token) <= MAX_TOKEN_CHARACTERS
    assert token.isascii()
    assert token.replace("_", "").replace("-", "").isalnum()


async def test_a_link_has_the_rights_to_read_its_run_alone() -> None:
    token = links(NEW).token(WatchedRun(key=KEY, workflow="greet", payloads=False))
    principal = await links(NEW).authenticate(Credentials(CredentialKind.WATCH, token))
    assert str(principal) == "watch_link:acme/order-1"
    access = Grants().access_of(principal)
    assert [scope for scope in Scope if access.allows_for_run(scope, KEY, workflow="greet")] == [
        Scope.READ
    ]
    assert not access.allows_for_run(Scope.READ, RunKey("acme", "order-2"), workflow="greet")
    assert not access.allows_for_run(Scope.READ, RunKey("other", "order-1"), workflow="greet")


async def test_a_link_expires() -> None:
    token = links(NEW).token(WatchedRun(key=KEY, workflow="greet", payloads=True))
    before, after = NOW + timedelta(minutes=59, seconds=59), NOW + timedelta(hours=1)
    assert await shown(token, links(NEW, now=before)) is not None
    assert await refusal(token, links(NEW, now=after)) == "watch link: expired"


async def test_a_link_stays_good_while_its_key_is_in_the_ring() -> None:
    token = links(OLD).token(WatchedRun(key=KEY, workflow="greet", payloads=True))
    assert await shown(token, links(NEW, OLD)) is not None
    assert "not in the ring" in await refusal(token, links(NEW))


async def test_another_secret_of_the_same_id_is_refused() -> None:
    token = links(OLD).token(WatchedRun(key=KEY, workflow="greet", payloads=True))
    other = RingKey(id=OLD.id, secret=b"x" * 32)
    assert "not signed" in await refusal(token, links(other))


@given(st.data())
async def test_no_changed_character_is_taken(data: st.DataObject) -> None:
    token = links(NEW).token(WatchedRun(key=KEY, workflow="greet", payloads=False))
    # The last character has bits that mean nothing.
    place = data.draw(st.integers(0, len(token) - 2))
    other = data.draw(st.characters().filter(lambda each: each != token[place]))
    assert await refusal(token[:place] + other + token[place + 1 :], links(NEW, OLD))


@given(st.text())
async def test_nothing_else_is_taken(text: str) -> None:
    for token in (text, f"slw_2026-09_{text}", f"slw_{text}"):
        assert await refusal(token, links(NEW))
