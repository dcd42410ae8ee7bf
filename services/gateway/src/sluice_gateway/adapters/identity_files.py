"""The files that say who may do what: API keys and grants, in YAML.

Neither has a secret: a key is kept as its SHA-256. docs/security.md has examples.
"""

from typing import Annotated, Final, Self

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, model_validator

from sluice_contracts.api_keys import ID, MAX_SECRETS, PRINCIPAL
from sluice_contracts.ids import is_tenant
from sluice_gateway.domain.api_keys import ApiKey, ApiKeys, Secret
from sluice_gateway.domain.identity import Grant, Grants, PrincipalKind, Scope
from sluice_gateway.domain.reach import ANY, Area
from sluice_runtime.strict_yaml import StrictModel, read_yaml

__all__ = ["read_grants", "read_keys"]

_GRANTED: Final = tuple(
    kind
    for kind in PrincipalKind
    if kind not in (PrincipalKind.ANONYMOUS, PrincipalKind.WATCH_LINK)
)
"""Others have what their credentials say, or everything."""


class _Secret(StrictModel):
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    not_before: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.not_before and self.expires_at and self.expires_at <= self.not_before:
            raise ValueError("expires_at must be later than not_before")
        return self


class _Key(StrictModel):
    id: Annotated[str, StringConstraints(pattern=ID)]
    principal: Annotated[str, StringConstraints(pattern=PRINCIPAL)]
    secrets: Annotated[list[_Secret], Field(min_length=1, max_length=MAX_SECRETS)]


class _Keys(StrictModel):
    keys: list[_Key]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        seen: dict[str, int] = {}
        for number, key in enumerate(self.keys):
            first = seen.setdefault(key.id, number)
            if first != number:
                raise ValueError(
                    f"keys[{number}] has the id of keys[{first}]; two secrets of a key stand in "
                    "one `secrets`"
                )
        return self


def read_keys(content: bytes, *, source: str) -> ApiKeys:
    """Return the keys of a file.

    Raises:
        FileError: it cannot be used.
    """
    return ApiKeys(
        ApiKey(
            id=key.id,
            principal=key.principal,
            secrets=tuple(
                Secret(
                    sha256=bytes.fromhex(each.sha256),
                    not_before=each.not_before,
                    expires_at=each.expires_at,
                )
                for each in key.secrets
            ),
        )
        for key in read_yaml(content, _Keys, source=source).keys
    )


def _principal(text: str) -> str:
    kind, colon, name = text.partition(":")
    if kind not in _GRANTED or not colon or not name:
        kinds = ", ".join(_GRANTED)
        raise ValueError(f"must be kind:id or kind:{ANY}, and the kind one of {kinds}")
    return text


def _tenant(text: str) -> str:
    if text != ANY and not is_tenant(text):
        raise ValueError(f"must be {ANY} or a tenant: lower-case letters, digits and dashes")
    return text


def _any_alone(names: list[str]) -> list[str]:
    if ANY in names and len(names) > 1:
        raise ValueError(f"{ANY} includes the others; leave them out")
    return names


_PrincipalName = Annotated[str, AfterValidator(_principal)]
_WorkflowName = Annotated[str, StringConstraints(min_length=1, max_length=63)]


class _Grant(StrictModel):
    principals: Annotated[list[_PrincipalName], Field(min_length=1)] | None = None
    claims: Annotated[dict[str, str], Field(min_length=1)] | None = None
    tenants: Annotated[
        list[Annotated[str, AfterValidator(_tenant)]],
        Field(min_length=1),
        AfterValidator(_any_alone),
    ]
    workflows: Annotated[list[_WorkflowName], Field(min_length=1), AfterValidator(_any_alone)]
    scopes: Annotated[list[Annotated[Scope, Field(strict=False)]], Field(min_length=1)]

    @model_validator(mode="after")
    def _for_somebody(self) -> Self:
        if self.principals is None and self.claims is None:
            raise ValueError("principals or claims must say who gets this")
        if self.claims is not None and "iss" not in self.claims:
            raise ValueError("claims must have iss: another issuer could say the same of others")
        return self


class _Grants(StrictModel):
    grants: list[_Grant]


def read_grants(content: bytes, *, source: str) -> Grants:
    """Return the grants of a file.

    Raises:
        FileError: it cannot be used.
    """
    return Grants(
        tuple(
            Grant(
                area=Area(tenants=frozenset(each.tenants), workflows=frozenset(each.workflows)),
                scopes=frozenset(each.scopes),
                principals=frozenset(each.principals or ()),
                claims=frozenset((each.claims or {}).items()),
            )
            for each in read_yaml(content, _Grants, source=source).grants
        )
    )
