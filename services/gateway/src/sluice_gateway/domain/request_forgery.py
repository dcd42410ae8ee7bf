"""Whether a page of another site has made a browser send a request (CSRF).

Browsers say so in Sec-Fetch-Site, which no page can set, and older ones in Origin.
https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from typing import Final

__all__ = ["SAFE_METHODS", "is_from_another_site", "is_from_our_page"]

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""They change nothing, so forging one gains nothing (RFC 9110 section 9.2.1)."""


def is_from_our_page(
    *, fetch_site: str | None, origin: str | None, public_origin: str | None
) -> bool:
    """Return whether a request with a cookie, which browsers add by themselves, is from our page.

    A request with neither header is not: it is from a browser that does not say who caused it.
    """
    if fetch_site is not None:
        return fetch_site == "same-origin"
    return origin is not None and origin == public_origin


def is_from_another_site(*, fetch_site: str | None, origin: str | None, host: str) -> bool:
    """Return whether a request without any credentials is from a page of another site.

    A request with neither header is not from a browser, so no page has sent it. `host` is the
    header Host.
    """
    if fetch_site is not None:
        return fetch_site not in ("same-origin", "none")
    return origin is not None and origin.partition("://")[2] != host.lower()
