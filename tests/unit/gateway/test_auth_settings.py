"""Settings of identities that cannot work, or would let others in, are refused."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sluice_gateway.auth_settings import AuthSettings, IssuerSettings, OidcSettings, SignInSettings
from sluice_gateway.settings import GatewaySettings, HttpSettings
from sluice_runtime.settings import load_settings

GITHUB = {
    "issuer": "https://token.actions.githubusercontent.com",
    "audience": "https://runs.example.com",
    "kind": "github-actions",
    "owners": "123456, 7",
}
KUBERNETES = {
    "issuer": "https://kubernetes.default.svc",
    "audience": "sluice",
    "kind": "kubernetes",
    "jwks_file": "/etc/sluice/keys.json",
}
PEOPLE = {"issuer": "https://accounts.example", "audience": "sluice", "kind": "users"}
SIGN_IN = {
    "issuer": "https://accounts.example",
    "client_id": "sluice",
    "client_secret_file": "/etc/sluice/secret",
    "public_origin": "https://runs.example.com",
}


def issuers(*listed: dict[str, Any]) -> OidcSettings:
    return OidcSettings.model_validate({"issuers": listed})


def test_issuers_are_read() -> None:
    github, kubernetes, people = issuers(GITHUB, KUBERNETES, PEOPLE).issuers
    assert github.owners == ("123456", "7")
    assert kubernetes.jwks_file == Path("/etc/sluice/keys.json")
    assert people.algorithms == ("RS256",)


@pytest.mark.parametrize(
    "change",
    [
        {"algorithms": "HS256"},
        {"algorithms": "RS256,none"},
        {"algorithms": ""},
        {"audience": ""},
        {"issuer": ""},
        {"issuer": "http://accounts.example"},
        {"jwks_url": "http://accounts.example/keys"},
        {"jwks_url": "https://accounts.example/keys", "jwks_file": "/keys.json"},
        {"owners": "7"},
        {"kind": "github-actions"},
        {"kind": "github-actions", "owners": "octocat"},
        {"prefix": "a"},
        {"prefix": "A/"},
        {"unknown": "x"},
    ],
)
def test_an_issuer_that_cannot_be_trusted_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        IssuerSettings.model_validate({**PEOPLE, **change})


def test_an_issuer_without_an_address_needs_its_keys() -> None:
    with pytest.raises(ValidationError, match="jwks_file"):
        IssuerSettings.model_validate({**KUBERNETES, "issuer": "kubernetes", "jwks_file": None})
    read = IssuerSettings.model_validate({**KUBERNETES, "issuer": "kubernetes"})
    assert read.issuer == "kubernetes"


def test_two_issuers_of_one_kind_cannot_name_each_others_principals() -> None:
    other = {**KUBERNETES, "issuer": "https://other.example"}
    with pytest.raises(ValidationError, match="prefixes"):
        issuers(KUBERNETES, other)
    assert len(issuers(KUBERNETES, {**other, "prefix": "staging/"}).issuers) == 2
    with pytest.raises(ValidationError, match="once"):
        issuers(PEOPLE, {**PEOPLE, "prefix": "a/"})


def test_nobody_signs_in_unless_it_is_set_up() -> None:
    assert SignInSettings().issuer is None
    read = SignInSettings.model_validate(SIGN_IN)
    assert read.lifetime == timedelta(hours=8)


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": ""},
        {"client_secret_file": None},
        {"public_origin": None},
        {"public_origin": "https://runs.example.com/"},
        {"public_origin": "http://runs.example.com"},
        {"issuer": "http://accounts.example"},
        {"scopes": "email"},
        {"lifetime": "9h"},
        {"lifetime": "0s"},
        {"algorithms": "HS256"},
    ],
)
def test_signing_in_that_cannot_work_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SignInSettings.model_validate({**SIGN_IN, **change})


def test_other_origins_are_exact() -> None:
    read = HttpSettings.model_validate({"cors_origins": "https://a.example, http://localhost:3000"})
    assert read.cors_origins == ("https://a.example", "http://localhost:3000")
    for origin in ("*", "https://*.example", "https://a.example/", "null", "http://a.example"):
        with pytest.raises(ValidationError):
            HttpSettings.model_validate({"cors_origins": origin})


def auth(**changes: Any) -> AuthSettings:
    return AuthSettings.model_validate({"mode": "required", "grants_file": "grants", **changes})


@pytest.mark.parametrize(
    "source",
    [
        {"keys_file": "keys"},
        {"oidc": {"issuers": [PEOPLE]}},
        {"sign_in": SIGN_IN, "key_ring_file": "ring"},
    ],
)
def test_any_source_of_identities_is_enough(source: dict[str, Any]) -> None:
    assert auth(**source).mode == "required"
    with pytest.raises(ValidationError, match="leave them out"):
        auth(**source, mode="none", grants_file=None)


def test_without_any_source_nobody_could_do_anything() -> None:
    with pytest.raises(ValidationError, match="no client could do anything"):
        auth()
    # A link is made by somebody who got in.
    with pytest.raises(ValidationError, match="no client could do anything"):
        auth(watch_links={"enabled": True}, key_ring_file="ring")


@pytest.mark.parametrize("part", [{"sign_in": SIGN_IN}, {"watch_links": {"enabled": True}}])
def test_sessions_and_links_need_a_key_ring(part: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="key_ring_file"):
        auth(keys_file="keys", **part)
    assert auth(keys_file="keys", key_ring_file="ring", **part).key_ring_file == Path("ring")


def people(*prefixes: str, sign_in: str | None = None) -> AuthSettings:
    """Read issuers of people with these prefixes, and signing in with that one."""
    parts: dict[str, Any] = {"key_ring_file": "ring"}
    if sign_in is not None:
        parts["sign_in"] = {**SIGN_IN, "prefix": sign_in}
    issuers = [
        {**PEOPLE, "issuer": f"https://{number}.example", "prefix": prefix}
        for number, prefix in enumerate(prefixes)
    ]
    return auth(**parts, oidc={"issuers": issuers})


@pytest.mark.parametrize("prefixes", [("a/", "b/"), ("a/", "aa/"), ("",), ("a/",)])
def test_users_of_issuers_with_prefixes_are_different_ones(prefixes: tuple[str, ...]) -> None:
    assert len(people(*prefixes).oidc.issuers) == len(prefixes)
    if len(prefixes) > 1:
        assert people(prefixes[0], sign_in=prefixes[1]).sign_in.issuer


@pytest.mark.parametrize("prefixes", [("", ""), ("", "a/"), ("a/", ""), ("a/", "a/")])
def test_no_issuer_can_name_a_user_of_another(prefixes: tuple[str, ...]) -> None:
    """Without a prefix, its user `a/ada` would be the user `ada` of the issuer with `a/`."""
    with pytest.raises(ValidationError, match="prefixes"):
        people(*prefixes)
    with pytest.raises(ValidationError, match="needs a prefix of its own"):
        people(prefixes[0], sign_in=prefixes[1])


def test_one_issuer_lets_people_in_by_browser_and_by_token() -> None:
    both = {"key_ring_file": "ring", "oidc": {"issuers": [PEOPLE]}}
    assert auth(**both, sign_in=SIGN_IN).oidc.issuers
    # With two prefixes its subject `b/ada` would be two principals' name.
    with pytest.raises(ValidationError, match="prefixes"):
        auth(**both, sign_in={**SIGN_IN, "prefix": "b/"})


def test_issuers_come_from_a_variable_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_AUTH__MODE", "required")
    monkeypatch.setenv("SLUICE_AUTH__GRANTS_FILE", "grants")
    monkeypatch.setenv("SLUICE_AUTH__OIDC__ISSUERS", json.dumps([GITHUB]))
    monkeypatch.setenv("SLUICE_AUTH__SIGN_IN__SCOPES", "openid, groups")
    read = load_settings(GatewaySettings).auth
    assert read.oidc.issuers[0].owners == ("123456", "7")
    assert read.sign_in.scopes == ("openid", "groups")
