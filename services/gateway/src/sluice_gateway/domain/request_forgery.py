"""Whether a page of another site has made a browser send a request (CSRF).

https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from typing import Final

__all__ = ["SAFE_METHODS", "may_change_something"]

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""RFC 9110 section 9.2.1: they change nothing, so a forged one gains nothing."""


def may_change_something(
    *, fetch_site: str | None, origin: str | None, public_origin: str | None
) -> bool:
    """Return whether an unsafe request that a browser authenticates by itself comes from our page.

    `fetch_site` is the header Sec-Fetch-Site, which pages cannot set and which only browsers send.
    A browser without it sends Origin. A request with neither is not from a browser that we trust
    to keep the cookie from others.
    """
    if fetch_site is not None:
        return fetch_site == "same-origin"
    return origin is not None and origin == public_origin
