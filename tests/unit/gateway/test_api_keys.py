"""API keys, from the command that makes one to the authenticator that believes it."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sluice_contracts.api_keys import PATTERN, SECRET_BYTES, base62, digest, write_key
from sluice_gateway.adapters.identity_files import read_keys
from sluice_gateway.domain.api_keys import ApiKey, ApiKeys, RefusedKeyError, Secret
from sluice_gateway.domain.identity import Principal, PrincipalKind
from sluice_gateway.identity_ports import CredentialKind, Credentials, UnauthenticatedError
from sluice_gateway.keys import main
from sluice_gateway.services.api_key_authentication import ApiKeyAuthenticator
from sluice_runtime.strict_yaml import FileError

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ID = "4fT9kQ2mZx8B"
KEY = write_key(ID, b"\x01" * SECRET_BYTES)
NEXT_KEY = write_key(ID, b"\x02" * SECRET_BYTES)
DIGIT = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def keys(*secrets: Secret) -> ApiKeys:
    return ApiKeys([ApiKey(id=ID, principal="ci", secrets=secrets)])


def secret(
    key: str = KEY, *, not_before: datetime | None = None, expires_at: datetime | None = None
) -> Secret:
    return Secret(sha256=digest(key), not_before=not_before, expires_at=expires_at)


@given(st.text(DIGIT, min_size=12, max_size=12), st.binary(min_size=32, max_size=32))
def test_a_key_has_its_form_and_is_valid(key_id: str, random: bytes) -> None:
    text = write_key(key_id, random)
    assert re.fullmatch(PATTERN, text)
    stored = ApiKey(id=key_id, principal="ci", secrets=(secret(text),))
    assert ApiKeys([stored]).verify(text, now=NOW) == stored


@given(st.integers(0, 2**256 - 1))
def test_256_bits_are_43_digits(number: int) -> None:
    written = base62(number, digits=43)
    assert len(written) == 43
    assert sum(DIGIT.index(d) * 62**i for i, d in enumerate(reversed(written))) == number


@given(st.integers(4, len(KEY) - 1), st.sampled_from(DIGIT))
def test_a_changed_digit_is_a_typing_error(place: int, digit: str) -> None:
    changed = KEY[:place] + digit + KEY[place + 1 :]
    if changed == KEY:
        return
    with pytest.raises(RefusedKeyError, match=r"^(API key with a typing error|not an API key)$"):
        keys(secret()).verify(changed, now=NOW)


@pytest.mark.parametrize("text", ["", "slk_", KEY[:-1], f"{KEY}0", f" {KEY}", f"{KEY}\n", "\udcff"])
def test_other_text_is_not_a_key(text: str) -> None:
    with pytest.raises(RefusedKeyError, match=r"^not an API key$"):
        keys(secret()).verify(text, now=NOW)


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        (keys(secret(NEXT_KEY)), "unknown API key"),
        (ApiKeys(), "unknown API key"),
        (keys(secret(not_before=NOW + HOUR)), "API key that is not valid yet"),
        (keys(secret(expires_at=NOW)), "expired API key"),
        (keys(secret(expires_at=NOW - HOUR), secret(NEXT_KEY)), "expired API key"),
    ],
)
def test_a_key_that_is_not_valid_now_is_refused(stored: ApiKeys, reason: str) -> None:
    with pytest.raises(RefusedKeyError) as raised:
        stored.verify(KEY, now=NOW)
    assert str(raised.value) == reason


def test_a_key_is_valid_from_its_begin_to_its_end() -> None:
    stored = keys(secret(not_before=NOW, expires_at=NOW + HOUR))
    assert stored.verify(KEY, now=NOW).principal == "ci"


@pytest.mark.parametrize("key", [KEY, NEXT_KEY])
def test_two_secrets_of_a_key_are_valid_together(key: str) -> None:
    assert keys(secret(KEY), secret(NEXT_KEY)).verify(key, now=NOW).principal == "ci"


def test_a_secret_is_of_the_key_under_whose_id_it_stands() -> None:
    other = ApiKey(id="0" * 12, principal="other", secrets=(secret(),))
    with pytest.raises(RefusedKeyError, match=r"^unknown API key$"):
        ApiKeys([other]).verify(KEY, now=NOW)


async def test_the_authenticator_reads_the_keys_of_the_moment() -> None:
    stored = [ApiKeys()]
    authenticator = ApiKeyAuthenticator(lambda: stored[-1], now=lambda: NOW)
    shown = Credentials(CredentialKind.BEARER, KEY)
    with pytest.raises(UnauthenticatedError) as raised:
        await authenticator.authenticate(shown)
    assert KEY not in str(raised.value)
    stored.append(keys(secret()))
    principal = Principal(kind=PrincipalKind.API_KEY, id="ci")
    assert await authenticator.authenticate(shown) == principal


def made(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    """Run the command; return the key and what it says about it."""
    main(["new", *arguments])
    shown = capsys.readouterr()
    return shown.out.strip(), shown.err


def test_a_new_key_works_with_what_the_command_says_to_add(
    capsys: pytest.CaptureFixture[str],
) -> None:
    key, says = made(capsys, "--principal", "ci", "--days", "90")
    stored = read_keys(f"keys:\n{says}".encode(), source="keys.yaml")
    now = datetime.now(UTC)
    assert stored.verify(key, now=now).principal == "ci"
    assert stored.verify(key, now=now + timedelta(days=89)).principal == "ci"
    with pytest.raises(RefusedKeyError, match="expired"):
        stored.verify(key, now=now + timedelta(days=91))
    assert key not in says


def test_a_rotated_key_keeps_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    _, first = made(capsys, "--principal", "ci")
    [stored] = yaml.safe_load(first)
    key, says = made(capsys, "--id", stored["id"])
    assert key.startswith(f"slk_{stored['id']}_")
    # What the command says fits behind the other secret.
    keys = read_keys(f"keys:\n{first}{says}".encode(), source="keys.yaml")
    assert keys.verify(key, now=NOW).principal == "ci"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--principal", "ci", "--id", ID],
        ["--id", "short"],
        ["--principal", "ci", "--days", "0"],
        ["--principal", "ci", "--days", "-1"],
        ["--principal", "a b"],
    ],
)
def test_wrong_arguments_make_no_key(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["new", *arguments])
    assert raised.value.code == 2
    assert not capsys.readouterr().out


SHA = f"{{sha256: {digest(KEY).hex()}}}"


def entry(*secrets: str, key_id: str = ID, principal: str = "ci") -> str:
    return f"{{id: {key_id}, principal: {principal}, secrets: [{', '.join(secrets)}]}}"


def valid(*times: str) -> str:
    return f"{SHA[:-1]}, {', '.join(times)}}}"


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([entry(SHA, key_id="short")], "keys[0].id: "),
        ([entry(SHA), entry()], "keys[1].secrets: "),
        ([entry(SHA, SHA, SHA)], "keys[0].secrets: "),
        ([entry(SHA, principal="a b")], "keys[0].principal: "),
        # Somebody puts the key itself where its SHA-256 belongs.
        ([entry(f"{{sha256: {KEY}}}")], "keys[0].secrets[0].sha256: "),
        ([entry(valid("expires_at: 2026-11-30T00:00:00"))], "keys[0].secrets[0].expires_at: "),
        ([entry(valid("expires_at: 2026-11-30"))], "keys[0].secrets[0].expires_at: "),
        (
            [entry(valid("not_before: 2026-11-30T00:00:00Z", "expires_at: 2026-11-29T00:00:00Z"))],
            "keys[0].secrets[0]: expires_at must be later than not_before.",
        ),
        (
            [entry(SHA), entry(SHA, principal="other")],
            "top level: keys[1] has the id of keys[0]; two secrets of a key stand in one ",
        ),
    ],
)
def test_a_fault_in_the_file_is_named_with_its_place(entries: list[str], message: str) -> None:
    with pytest.raises(FileError) as raised:
        read_keys(f"keys: [{', '.join(entries)}]".encode(), source="keys.yaml")
    assert str(raised.value).startswith(f"keys.yaml: {message}")
    assert KEY not in str(raised.value)
