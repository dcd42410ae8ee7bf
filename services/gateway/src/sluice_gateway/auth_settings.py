"""Settings of who may do what: grants, and everything that can say who a client is."""

from datetime import timedelta
from itertools import permutations
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_settings import NoDecode

from sluice_contracts.audit import AUDIT_TOPIC
from sluice_gateway.domain.verifying_keys import ALGORITHMS
from sluice_gateway.domain.web_addresses import is_safe_address
from sluice_gateway.setting_values import Address, Origin, separated
from sluice_runtime.durations import Duration

__all__ = [
    "AuthSettings",
    "IssuerSettings",
    "OidcSettings",
    "SignInSettings",
    "WatchLinkSettings",
]

MAX_SESSION = timedelta(hours=8)


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _algorithms(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names or set(names) - set(ALGORITHMS):
        raise ValueError(f"Must be some of {', '.join(ALGORITHMS)}.")
    return names


_Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(separated)]
_Algorithms = Annotated[_Names, AfterValidator(_algorithms)]
_Prefix = Annotated[str, StringConstraints(pattern=r"^([a-z0-9-]{1,32}/)?$")]


class _SignedTokens(_Group):
    """How tokens of an issuer are verified."""

    ca_file: Annotated[
        Path | None, Field(description="Trusted authorities, in PEM; None: those of the system.")
    ] = None
    algorithms: Annotated[
        _Algorithms, Field(description="Algorithms of signatures that are taken.")
    ] = ("RS256",)


class IssuerSettings(_SignedTokens):
    """An issuer whose tokens let machines in, and who they are of."""

    issuer: Annotated[
        str, Field(min_length=1, description="The claim `iss` of its tokens, letter by letter.")
    ]
    audience: Annotated[
        str,
        Field(
            min_length=1, description="What the claim `aud` of its tokens must have: this Sluice."
        ),
    ]
    kind: Annotated[
        Literal["kubernetes", "github-actions", "users"],
        Field(
            description="Who its tokens are of: `kubernetes`, `service_account:namespace/name`; "
            "`github-actions`, `workload:github/<owner's id>/<repository's id>`; `users`, "
            "`user:<sub>`."
        ),
    ]
    owners: Annotated[
        _Names,
        Field(
            description="Of `github-actions`: the numeric ids of the accounts whose repositories "
            "are let in."
        ),
    ] = ()
    user_id: Annotated[
        Literal["sub", "email"],
        Field(description="Of `users`: the claim that is the id; an email has to be verified."),
    ] = "sub"
    prefix: Annotated[
        _Prefix,
        Field(
            description="What ids begin with, as in `staging/`: two issuers of one kind need two, "
            "and two of people one each."
        ),
    ] = ""
    jwks_url: Annotated[
        Address | None,
        Field(description="Address of its keys. Without it and a file: where the issuer says."),
    ] = None
    jwks_file: Annotated[
        Path | None,
        Field(description="File with its keys, if their address asks for credentials."),
    ] = None

    @model_validator(mode="after")
    def _owners_of_github(self) -> Self:
        if (self.kind == "github-actions") != bool(self.owners):
            raise ValueError("owners must be given for github-actions, and for nothing else.")
        if not all(each.isascii() and each.isdigit() for each in self.owners):
            raise ValueError(
                "owners must be ids, which are numbers and stay when an account is renamed: "
                "`gh api users/NAME --jq .id`."
            )
        return self

    @model_validator(mode="after")
    def _one_source_of_keys(self) -> Self:
        if self.jwks_url is not None and self.jwks_file is not None:
            raise ValueError("jwks_url and jwks_file are two sources of keys: leave one out.")
        if self.jwks_url is None and self.jwks_file is None and not is_safe_address(self.issuer):
            raise ValueError(
                "issuer must be an address with https, or jwks_url or jwks_file say where its "
                "keys are."
            )
        return self


class OidcSettings(_Group):
    """Tokens of others (OpenID Connect) that let machines in."""

    issuers: Annotated[
        tuple[IssuerSettings, ...],
        Field(description="Issuers that are trusted, as JSON or in the file of settings."),
    ] = ()

    @model_validator(mode="after")
    def _no_two_alike(self) -> Self:
        if len({each.issuer for each in self.issuers}) < len(self.issuers):
            raise ValueError("issuers must have each issuer once.")
        if len({(each.kind, each.prefix) for each in self.issuers}) < len(self.issuers):
            raise ValueError(
                "issuers of one kind must have different prefixes: one could name those of another."
            )
        return self


class SignInSettings(_SignedTokens):
    """Signing in with a browser, by an identity provider; off without `issuer`."""

    issuer: Annotated[
        Address | None, Field(description="The identity provider, as it describes itself.")
    ] = None
    client_id: Annotated[str, Field(description="Id of this Sluice at the identity provider.")] = ""
    client_secret_file: Annotated[
        Path | None,
        Field(description="File with the client's secret, read for every sign-in."),
    ] = None
    public_origin: Annotated[
        Origin | None,
        Field(
            description="How browsers reach this gateway, as in `https://runs.example.com`. The "
            "redirect URI is this and `/sign-in/callback`."
        ),
    ] = None
    scopes: Annotated[
        _Names, Field(description="Scopes that are asked for; some providers need `groups`.")
    ] = ("openid", "email")
    user_id: Annotated[
        Literal["sub", "email"],
        Field(description="The claim that is a user's id; an email has to be verified."),
    ] = "sub"
    prefix: Annotated[_Prefix, Field(description="What ids of users begin with.")] = ""
    lifetime: Annotated[
        Duration, Field(description="How long a session is good; 8 hours at most.")
    ] = MAX_SESSION

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        needed = (self.client_id, self.client_secret_file, self.public_origin)
        if self.issuer is not None and not all(needed):
            raise ValueError("client_id, client_secret_file and public_origin must be given, too.")
        if "openid" not in self.scopes:
            raise ValueError("scopes must have openid.")
        if not timedelta(0) < self.lifetime <= MAX_SESSION:
            raise ValueError("lifetime must be more than 0 and at most 8 hours.")
        return self


class WatchLinkSettings(_Group):
    """Links that let their holders follow one run, as `links.watch` of the answer to its start."""

    enabled: Annotated[bool, Field(description="Whether links are made and taken.")] = False
    lifetime: Annotated[Duration, Field(description="How long a link is good.")] = timedelta(days=1)


class AuthSettings(_Group):
    """Who may do what. All files are read again when they change."""

    mode: Annotated[
        Literal["required", "none"] | None,
        Field(
            description="`required`: clients identify themselves, and do what the grants say. "
            "`none`: any client that reaches the gateway may do everything; for one machine and "
            "for tests. It has to be set."
        ),
    ] = None
    grants_file: Annotated[
        Path | None,
        Field(description="YAML file of grants: who may do what, for which tenants and workflows."),
    ] = None
    keys_file: Annotated[
        Path | None,
        Field(
            description="YAML file of API keys, by their SHA-256; "
            "`python -m sluice_gateway.keys new` makes one."
        ),
    ] = None
    audit_topic: Annotated[
        str, Field(min_length=1, description="Topic of audit records, if mode is `required`.")
    ] = AUDIT_TOPIC
    key_ring_file: Annotated[
        Path | None,
        Field(
            description="YAML file of the gateway's own secrets, for sessions and watch links; "
            "the same for all replicas."
        ),
    ] = None
    oidc: OidcSettings = OidcSettings()
    sign_in: SignInSettings = SignInSettings()
    watch_links: WatchLinkSettings = WatchLinkSettings()

    @model_validator(mode="after")
    def _decided(self) -> Self:
        if self.mode is None:
            raise ValueError(
                "mode (SLUICE_AUTH__MODE) must be set: to `required`, with grants_file and a "
                "source of identities such as keys_file, or to `none`, which lets any client that "
                "reaches the gateway do everything."
            )
        sources = (self.keys_file, self.oidc.issuers, self.sign_in.issuer)
        if self.mode == "required" and (self.grants_file is None or not any(sources)):
            raise ValueError(
                "mode `required` needs grants_file (SLUICE_AUTH__GRANTS_FILE), and keys_file "
                "(SLUICE_AUTH__KEYS_FILE), oidc.issuers or sign_in.issuer: without them no client "
                "could do anything."
            )
        unused = (self.grants_file, *sources, self.watch_links.enabled)
        if self.mode == "none" and any(unused):
            raise ValueError(
                "mode `none` lets any client do everything, whatever grants_file, keys_file, oidc, "
                "sign_in and watch_links say: leave them out, or set mode to `required`."
            )
        return self

    @model_validator(mode="after")
    def _ring_of_its_own(self) -> Self:
        needed = self.sign_in.issuer is not None or self.watch_links.enabled
        if needed and self.key_ring_file is None:
            raise ValueError(
                "sign_in and watch_links need key_ring_file (SLUICE_AUTH__KEY_RING_FILE)."
            )
        return self

    @model_validator(mode="after")
    def _no_user_of_two_issuers(self) -> Self:
        """Refuse prefixes with which a subject could be another's: it may have any slash in it."""
        users = {(each.issuer, each.prefix) for each in self.oidc.issuers if each.kind == "users"}
        if self.sign_in.issuer is not None:
            users.add((self.sign_in.issuer, self.sign_in.prefix))
        for (one, first), (other, second) in permutations(sorted(users), 2):
            if second.startswith(first):
                raise ValueError(
                    f"the prefixes {first!r} of {one} and {second!r} of {other} are not "
                    "enough: with several issuers of people (sign_in, and those of kind users), "
                    "each needs a prefix of its own, as in `staff/` and `partners/`. A user of one "
                    "could have the id of another's."
                )
        return self
