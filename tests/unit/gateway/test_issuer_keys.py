"""Keys of an issuer are fetched rarely, once for all, and stay good while it is away."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from sluice_gateway.services.issuer_keys import IssuerKeys, KeysUnknownError
from sluice_gateway.services.rare_fetch import FETCH_INTERVAL, REFRESH_AFTER
from tests.support.fake_issuer import FakeIssuer, jwk
from tests.unit.runtime.clock import pause

pytestmark = pytest.mark.looptime


@dataclass
class Kept:
    """The keys under test, their issuer, and what they have said."""

    issuer: FakeIssuer
    keys: IssuerKeys
    withdrawn: list[float]
    fetched: list[bool]

    async def has(self, key: str) -> bool:
        return await self.keys.find(key, "RS256") is not None


@pytest.fixture
async def kept() -> AsyncIterator[Kept]:
    issuer, withdrawn, fetched = FakeIssuer("rsa-1"), list[float](), list[bool]()
    keys = IssuerKeys(
        issuer,
        issuer="https://issuer.example",
        algorithms=("RS256",),
        withdrawn=lambda: withdrawn.append(asyncio.get_running_loop().time()),
        fetched=fetched.append,
    )
    yield Kept(issuer, keys, withdrawn, fetched)
    await keys.close()


async def test_keys_are_fetched_once_for_all_who_ask(kept: Kept) -> None:
    assert all(await asyncio.gather(*(kept.has("rsa-1") for _ in range(100))))
    assert len(kept.issuer.fetches) == 1
    assert kept.fetched == [True]


async def test_one_who_leaves_does_not_end_the_fetch_of_the_others(kept: Kept) -> None:
    first = asyncio.create_task(kept.has("rsa-1"))
    second = asyncio.create_task(kept.has("rsa-1"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second


async def test_a_flood_of_unknown_key_ids_makes_one_fetch_in_30_seconds(kept: Kept) -> None:
    assert await kept.has("rsa-1")
    for moment in range(600):
        assert not await kept.has(f"unknown-{moment}")
        assert await kept.has("rsa-1")
        await pause(0.5)
    between = [b - a for a, b in zip(kept.issuer.fetches, kept.issuer.fetches[1:], strict=False)]
    assert len(kept.issuer.fetches) == 300 / FETCH_INTERVAL
    assert min(between) >= FETCH_INTERVAL


async def test_a_flood_while_the_issuer_is_away_makes_one_fetch_in_30_seconds(kept: Kept) -> None:
    kept.issuer.away = "out of order"
    for moment in range(120):
        with pytest.raises(KeysUnknownError) as raised:
            await kept.has(f"unknown-{moment}")
        assert 1 <= raised.value.retry_after <= FETCH_INTERVAL
        await pause(0.5)
    assert len(kept.issuer.fetches) == 60 / FETCH_INTERVAL


async def test_known_keys_stay_good_while_the_issuer_is_away(kept: Kept) -> None:
    assert await kept.has("rsa-1")
    kept.issuer.away = "out of order"
    for _ in range(100):
        await pause(FETCH_INTERVAL)
        assert await kept.has("rsa-1")
    assert kept.fetched[-1] is False
    assert not kept.withdrawn


async def test_a_rotated_key_is_fetched_when_its_first_token_comes(kept: Kept) -> None:
    assert await kept.has("rsa-1")
    kept.issuer.keys.append(jwk("rsa-2"))
    await pause(FETCH_INTERVAL)
    assert await kept.has("rsa-2")
    assert await kept.has("rsa-1")
    assert not kept.withdrawn


async def test_a_withdrawn_key_is_forgotten_though_tokens_of_it_come(kept: Kept) -> None:
    assert await kept.has("rsa-1")
    kept.issuer.keys[:] = [jwk("rsa-2")]
    await pause(REFRESH_AFTER)
    # Nobody waits for keys that are only checked.
    assert await kept.has("rsa-1")
    await pause(0.1)
    assert not await kept.has("rsa-1")
    assert await kept.has("rsa-2")
    assert len(kept.withdrawn) == 1


async def test_another_key_under_the_same_id_is_a_withdrawn_one(kept: Kept) -> None:
    assert await kept.has("rsa-1")
    kept.issuer.keys[:] = [jwk("rsa-2", kid="rsa-1")]
    await pause(FETCH_INTERVAL)
    assert not await kept.has("unknown")
    assert len(kept.withdrawn) == 1


async def test_a_set_without_usable_keys_leaves_the_known_ones(kept: Kept) -> None:
    assert await kept.has("rsa-1")
    kept.issuer.keys[:] = [jwk("rsa-2", use="enc")]
    await pause(FETCH_INTERVAL)
    with pytest.raises(KeysUnknownError):
        await kept.has("rsa-2")
    assert await kept.has("rsa-1")


async def test_closing_ends_a_fetch_that_is_under_way(kept: Kept) -> None:
    asked = asyncio.create_task(kept.has("rsa-1"))
    await asyncio.sleep(0)
    await kept.keys.close()
    with pytest.raises(asyncio.CancelledError):
        await asked
