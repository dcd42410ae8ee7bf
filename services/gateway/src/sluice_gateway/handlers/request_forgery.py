"""Refuses requests that a page of another site has made a browser send."""

from typing import Final

from aiohttp import web

from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.request_forgery import (
    SAFE_METHODS,
    is_from_another_site,
    is_from_our_page,
)
from sluice_gateway.handlers.app_keys import BROWSER_ACCESS

__all__ = ["refuse_forged", "refuse_forged_without_credentials"]

_FORGED: Final = (
    "The browser does not say that a page of this site has sent the request (Sec-Fetch-Site, "
    "Origin), so it is refused. Programs send an API key or a token as `Authorization: Bearer ...`."
)
_OF_ANOTHER_SITE: Final = (
    "The browser says that a page of another site has sent the request, so it is refused. If that "
    "site is to use the API, add its origin to http.cors_origins (SLUICE_HTTP__CORS_ORIGINS)."
)


def refuse_forged(request: web.Request) -> None:
    """Refuse a request that was let in by a cookie, unless a page of ours has sent it.

    Raises:
        ProblemError: FORBIDDEN.
    """
    if request.method not in SAFE_METHODS and not is_from_our_page(
        fetch_site=request.headers.get("Sec-Fetch-Site"),
        origin=request.headers.get("Origin"),
        public_origin=request.app[BROWSER_ACCESS].public_origin,
    ):
        raise ProblemError.of(ProblemType.FORBIDDEN, _FORGED)


def refuse_forged_without_credentials(request: web.Request) -> None:
    """Refuse a request without credentials that a page of another site has sent.

    Where nobody has to say who they are, being in the network is all that lets them in, and the
    browser is in it. Pages that may read answers may send requests as well.

    Raises:
        ProblemError: FORBIDDEN.
    """
    origin = request.headers.get("Origin")
    if (
        request.method not in SAFE_METHODS
        and origin not in request.app[BROWSER_ACCESS].other_origins
        and is_from_another_site(
            fetch_site=request.headers.get("Sec-Fetch-Site"), origin=origin, host=request.host
        )
    ):
        raise ProblemError.of(ProblemType.FORBIDDEN, _OF_ANOTHER_SITE)
