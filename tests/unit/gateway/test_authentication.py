"""Which authenticator is asked."""

from dataclasses import dataclass

import pytest

from sluice_gateway.domain.identity import Principal, PrincipalKind
from sluice_gateway.identity_ports import CredentialKind, Credentials, UnauthenticatedError
from sluice_gateway.services.authentication import AuthenticatorChain


@dataclass(frozen=True)
class FakeAuthenticator:
    """Believes everybody, and says that it was the one that was asked."""

    name: str

    async def authenticate(self, credentials: Credentials) -> Principal:
        return Principal(kind=PrincipalKind.API_KEY, id=self.name)


CHAIN = AuthenticatorChain(
    api_keys=FakeAuthenticator("keys"),
    tokens=FakeAuthenticator("tokens"),
    sessions=FakeAuthenticator("sessions"),
    watch_links=FakeAuthenticator("links"),
)


@pytest.mark.parametrize(
    ("kind", "value", "asked"),
    [
        (CredentialKind.BEARER, "slk_abc", "keys"),
        (CredentialKind.BEARER, "slk_a.b.c", "keys"),
        (CredentialKind.BEARER, "eyJ.eyJ.c-_1", "tokens"),
        (CredentialKind.SESSION, "anything", "sessions"),
        (CredentialKind.WATCH, "slw_abc", "links"),
    ],
)
async def test_the_form_decides_who_is_asked(kind: CredentialKind, value: str, asked: str) -> None:
    assert (await CHAIN.authenticate(Credentials(kind, value))).id == asked


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (CredentialKind.BEARER, "secret"),
        (CredentialKind.BEARER, "slw_abc"),
        (CredentialKind.BEARER, "a.b.c.d"),
        (CredentialKind.BEARER, "a.b."),
        (CredentialKind.BEARER, ""),
        (CredentialKind.WATCH, "slk_abc"),
    ],
)
async def test_another_form_proves_nothing(kind: CredentialKind, value: str) -> None:
    with pytest.raises(UnauthenticatedError):
        await CHAIN.authenticate(Credentials(kind, value))


@pytest.mark.parametrize("kind", CredentialKind)
@pytest.mark.parametrize("value", ["slk_a", "a.b.c", "slw_a"])
async def test_nobody_is_believed_without_an_authenticator(
    kind: CredentialKind, value: str
) -> None:
    with pytest.raises(UnauthenticatedError):
        await AuthenticatorChain().authenticate(Credentials(kind, value))


def test_credentials_do_not_show_their_value() -> None:
    assert "slk_abc" not in repr(Credentials(CredentialKind.BEARER, "slk_abc"))
