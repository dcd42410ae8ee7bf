"""Whose request it is, by its address."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

__all__ = ["Network", "TrustedProxies"]

Network = IPv4Network | IPv6Network

_UNKNOWN = "unknown"
_REMEMBERED = 4096
# What one subscriber is given at least (RFC 6177): its addresses are one peer.
_IPV6_PREFIX = 64


class TrustedProxies:
    """Identifies peers; only trusted proxies may name the client that they forward."""

    def __init__(self, *, trusted: Sequence[Network]) -> None:
        self._trusted = trusted
        # A connection brings many requests.
        self._names = lru_cache(maxsize=_REMEMBERED)(lambda address: self._of(address, ()))

    def is_proxy(self, address: str | None) -> bool:
        """Return whether a connection from there carries requests of others."""
        return self._is_trusted(_parsed(address))

    def of(self, address: str | None, *, forwarded_for: Sequence[str] = ()) -> str:
        """Name the peer behind a connection from `address`.

        `forwarded_for` holds the values of the X-Forwarded-For headers in order. The peer is
        their rightmost address that does not belong to a trusted proxy: any client can write what
        is left of it. A header that cannot be read, or none, leaves the connection's own address.
        """
        if not forwarded_for and address is not None:
            return self._names(address)
        return self._of(address, forwarded_for)

    def _of(self, address: str | None, forwarded_for: Sequence[str]) -> str:
        direct = _parsed(address)
        if direct is None:
            return _UNKNOWN
        if not self._is_trusted(direct):
            return _name(direct)
        client = direct
        entries = ",".join(forwarded_for).split(",") if forwarded_for else []
        for entry in reversed(entries):
            parsed = _parsed(entry.strip())
            if parsed is None:
                return _name(direct)
            client = parsed
            if not self._is_trusted(client):
                break
        return _name(client)

    def _is_trusted(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)


def _parsed(text: str | None) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text or "")
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _name(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(ip_network((int(address), _IPV6_PREFIX), strict=False))
