"""Addresses that secrets and keys may come from or go to."""

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

__all__ = ["is_origin", "is_safe_address"]

_NAME: Final = re.compile(r"[a-z0-9.-]+")


def is_safe_address(address: str) -> bool:
    """Return whether it is https, or http on this machine, without user information."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return False
    if not parts.hostname or parts.username is not None or parts.fragment:
        return False
    if not (_NAME.fullmatch(parts.hostname) or _is_address(parts.hostname)):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname))


def is_origin(address: str) -> bool:
    """Return whether it is an origin as browsers write it (RFC 6454 section 6.2)."""
    parts = urlsplit(address)
    return is_safe_address(address) and address == f"{parts.scheme}://{parts.netloc}".lower()


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)
