"""What a fresh clone has only as an example: nobody owns it, or somebody else does."""

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from sluice_infra.settings import NAMESPACE, Settings, SettingsError

_HOST: Final = re.compile(r"(^|[/@.])example\.(com|invalid|net|org)([:/]|$)")
"""RFC 2606."""
_NETWORKS: Final = tuple(
    IPv4Network(cidr) for cidr in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
)
"""RFC 5737."""
_ACCOUNT: Final = "123456789012"
"""That of AWS' documentation."""


def refuse_placeholders(settings: Settings, *, repository: str) -> None:
    """Check that everything that needs a value of your own has one.

    Args:
        settings: The stack's.
        repository: Address of the git repository that the root Application follows.

    Raises:
        SettingsError: with every placeholder and its key.
    """
    found = [
        f"  {key}: {value} is a placeholder"
        for key, value in _placeholders(settings, repository=repository)
    ]
    if found:
        lines = ["Replace placeholders by values of your own: docs/deploy.md.", *found]
        raise SettingsError("\n".join(lines))


def _placeholders(settings: Settings, *, repository: str) -> Iterator[tuple[str, str]]:
    if _HOST.search(repository):
        root = "argocd.repository" if settings.argocd.repository else "argocd.root"
        yield f"{NAMESPACE}:{root}", repository
    if settings.dns and _HOST.search(settings.dns.domain):
        yield f"{NAMESPACE}:dns.domain", settings.dns.domain
    for cidr in settings.cluster.public_cidrs:
        if _is_an_example(cidr):
            yield f"{NAMESPACE}:cluster.publicCidrs", str(cidr)
    for key, values in _about_accounts(settings):
        yield from ((f"{NAMESPACE}:{key}", value) for value in values if _ACCOUNT in value)


def _is_an_example(cidr: IPv4Network | IPv6Network) -> bool:
    return isinstance(cidr, IPv4Network) and any(map(cidr.subnet_of, _NETWORKS))


def _about_accounts(settings: Settings) -> Iterator[tuple[str, Iterable[str]]]:
    yield "cluster.admins", settings.cluster.admins
    yield "cluster.viewers", settings.cluster.viewers
    yield "iam.existingRoleArn", filter(None, [settings.iam.existing_role_arn])
    yield "registry.account", filter(None, [settings.registry.account])
    yield "registry.readers", settings.registry.readers
