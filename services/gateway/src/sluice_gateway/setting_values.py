"""Values that several settings have: lists, addresses, origins."""

from typing import Annotated

from pydantic import AfterValidator

from sluice_gateway.domain.web_addresses import is_origin, is_safe_address

__all__ = ["Address", "Origin", "separated"]


def separated(value: object) -> object:
    """Read `a, b` as a variable says it; a file may have a list."""
    if not isinstance(value, str):
        return value
    return tuple(each.strip() for each in value.split(",") if each.strip())


def _safe(address: str) -> str:
    if not is_safe_address(address):
        raise ValueError("Must be an address with https; http is for this machine only.")
    return address


def _origin(address: str) -> str:
    if not is_origin(address):
        raise ValueError("Must be https, a host in lower case, and a port if it is not 443.")
    return address


Address = Annotated[str, AfterValidator(_safe)]
Origin = Annotated[str, AfterValidator(_origin)]
