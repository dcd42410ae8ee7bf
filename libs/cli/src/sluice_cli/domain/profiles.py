"""Where Sluice is, and how to reach it: from options, the environment and a profile."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, TypeVar

from sluice_cli.domain.usage import UsageError

__all__ = [
    "DEFAULT_URL",
    "Connection",
    "KafkaSecurity",
    "Profile",
    "connection_of",
    "read_profiles",
]

DEFAULT_URL: Final = "http://localhost:8080"
_DEFAULT_PROFILE: Final = "default"

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class KafkaSecurity:
    """How to reach brokers; the names are aiokafka's where it has them. Files are paths."""

    security_protocol: str | None = None
    sasl_mechanism: str | None = None
    sasl_plain_username: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What a profile of the configuration file may say."""

    url: str | None = None
    kafka: str | None = None
    tenant: str | None = None
    token_file: str | None = None
    ca_file: str | None = None
    topics: Mapping[str, str] = field(default_factory=dict)
    kafka_security: KafkaSecurity = KafkaSecurity()


@dataclass(frozen=True, kw_only=True)
class Connection:
    """How to reach Sluice.

    `kafka` are brokers if the gateway is to be left out, else None. `tenant` is None if nobody has
    said one: lists are of all tenants then, and runs of the default one.
    """

    url: str
    kafka: str | None
    tenant: str | None
    token: str | None = field(repr=False)
    token_file: str | None
    ca_file: str | None
    topics: Mapping[str, str]
    kafka_security: KafkaSecurity


def read_profiles(document: Mapping[str, Any], *, source: str) -> tuple[str, dict[str, Profile]]:
    """Return the name of the profile that is used without `--profile`, and all profiles.

    Raises:
        UsageError: the document is not a configuration.
    """
    unknown = set(document) - {"profile", "profiles"}
    profiles = document.get("profiles", {})
    if unknown or not isinstance(profiles, dict):
        wrong = min(unknown, default="profiles")
        raise UsageError(
            f'{source}: {wrong!r} does not belong there; write `profile = "NAME"` and '
            "`[profiles.NAME]`."
        )
    default = _text(document.get("profile", _DEFAULT_PROFILE), f"{source}: profile")
    return default, {
        name: _profile(members, f"{source}: profiles.{name}") for name, members in profiles.items()
    }


def connection_of(
    profile: Profile,
    *,
    url: str | None = None,
    kafka: str | None = None,
    tenant: str | None = None,
    token_file: str | None = None,
    token: str | None = None,
) -> Connection:
    """Return how to reach Sluice: what was given, then what the profile says, then the default.

    `token` is that of the environment; a file that was given comes before it. A profile that has
    brokers and no address leaves the gateway out.
    """
    over_kafka = kafka or (profile.kafka if url is None and profile.url is None else None)
    return Connection(
        url=(url or profile.url or DEFAULT_URL).rstrip("/"),
        kafka=over_kafka,
        tenant=tenant or profile.tenant,
        token=token,
        token_file=token_file or (None if token else profile.token_file),
        ca_file=profile.ca_file,
        topics=profile.topics,
        kafka_security=profile.kafka_security,
    )


def _profile(members: object, where: str) -> Profile:
    given = _members(members, where, Profile)
    topics, security = given.pop("topics", {}), given.pop("kafka_security", {})
    if not isinstance(topics, dict):
        raise UsageError(f"{where}.topics must be a table.")
    kafka = _members(security, f"{where}.kafka_security", KafkaSecurity)
    return Profile(
        **{name: _text(value, f"{where}.{name}") for name, value in given.items()},
        topics={name: _text(value, f"{where}.topics.{name}") for name, value in topics.items()},
        kafka_security=KafkaSecurity(
            **{
                name: _text(value, f"{where}.kafka_security.{name}")
                for name, value in kafka.items()
            }
        ),
    )


def _members(members: object, where: str, kind: type[T]) -> dict[str, Any]:
    if not isinstance(members, dict):
        raise UsageError(f"{where} must be a table.")
    known = [each.name for each in fields(kind)]  # type: ignore[arg-type] # both are dataclasses
    for name in members:
        if name in ("token", "password"):
            raise UsageError(
                f"{where}: {name} must not stand there. Write it to a file of its own, and name "
                f"that with {name}_file."
            )
        if name not in known:
            raise UsageError(f"{where}: there is no {name!r}; there are {', '.join(known)}.")
    return dict(members)


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{where} must be a text.")
    return value
