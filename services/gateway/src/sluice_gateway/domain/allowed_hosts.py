"""Which hosts' names are ours: a browser that was sent here under another is misled.

DNS rebinding lets a page of `evil.example` talk to a gateway on loopback or behind a firewall: its
name comes to resolve to our address, and the browser takes us for the page's own origin. The Host
header still says `evil.example`.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

__all__ = ["AllowedHosts"]

_ANY: Final = "*"
_REMEMBERED: Final = 128
_LONGEST_NAME: Final = 253
# RFC 3986 section 3.2.2, without user information, which has no place in a Host header.
_HOST_AND_PORT: Final = re.compile(
    r"(?:\[(?P<ip6>[^\[\]@/\s]+)\]|(?P<name>[^\[\]:@/\s]+))(?::\d*)?"
)


class AllowedHosts:
    """The names that requests may be sent to, each exact, `*.suffix`, or `*` for all.

    An IP address is always allowed: a page can have it as its origin only if it came from there.
    So is `localhost`, which browsers and resolvers keep to loopback (RFC 6761 section 6.3).
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        names = {"localhost", *(each.lower() for each in patterns)}
        self._all = _ANY in names
        self._suffixes = tuple(each[1:] for each in names if each.startswith("*."))
        self._names = names

        # Most clients keep to one name. What others make up is forgotten again.
        self._allowed = lru_cache(maxsize=_REMEMBERED)(self._look_at)

    def allow(self, host: str) -> bool:
        """Return whether a Host header's value, with or without a port, is one of ours."""
        return self._allowed(host) if len(host) <= _LONGEST_NAME else self._look_at(host)

    def _look_at(self, host: str) -> bool:
        if self._all or _is_address(host):
            return True
        parts = _HOST_AND_PORT.fullmatch(host)
        if parts is None:
            return False
        if parts["ip6"]:
            return _is_address(parts["ip6"])
        name = parts["name"].lower().removesuffix(".")
        return name in self._names or name.endswith(self._suffixes) or _is_address(name)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
