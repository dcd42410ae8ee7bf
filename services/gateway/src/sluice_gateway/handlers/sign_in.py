"""Signing in and out, for browsers: /sign-in, /sign-in/callback and /sign-out.

They are not in the table of operations: no program calls them, and only a gateway that is set up
for it has them.
"""

from typing import Final

import structlog
from aiohttp import web

from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.local_paths import is_local_path
from sluice_gateway.handlers.client_address import client_address
from sluice_gateway.handlers.identification import SESSION_COOKIE
from sluice_gateway.handlers.request_forgery import refuse_forged
from sluice_gateway.services.sign_in import ATTEMPT, Returned, SignIn, SignInError

__all__ = ["CALLBACK", "SIGN_IN", "sign_in_routes"]

_log = structlog.get_logger(__name__)

_ATTEMPT_COOKIE: Final = "__Host-sluice-sign-in"

CALLBACK: Final = "/sign-in/callback"
"""Behind the public origin: the redirect URI, which the identity provider has to know."""

SIGN_IN: Final = web.AppKey("sign_in", SignIn)

_HEADERS: Final = {"Cache-Control": "no-store"}
_MAX_CHARACTERS: Final = 4096


def sign_in_routes() -> list[web.RouteDef]:
    """Return the routes."""
    return [
        web.get("/sign-in", get_sign_in, allow_head=False),
        web.get(CALLBACK, get_callback, allow_head=False),
        web.post("/sign-out", post_sign_out),
    ]


async def get_sign_in(request: web.Request) -> web.Response:
    """Send the browser to the identity provider; it comes back to `?return_to=`, a path of ours."""
    return_to = request.query.get("return_to", "/")
    if not is_local_path(return_to):
        raise ProblemError.of(
            ProblemType.INVALID_REQUEST,
            "return_to must be a path of this site, as in /docs, of at most 1,024 characters.",
        )
    begun = await request.app[SIGN_IN].begin(return_to)
    response = web.Response(status=303, headers={**_HEADERS, "Location": begun.location})
    _set_cookie(response, _ATTEMPT_COOKIE, begun.cookie, seconds=int(ATTEMPT.total_seconds()))
    return response


async def get_callback(request: web.Request) -> web.Response:
    """Make a session for a browser that comes back, and send it where it wanted to go."""
    try:
        signed_in = await request.app[SIGN_IN].finish(_returned(request))
    except SignInError as e:
        _log.info("sign-in failed", reason=str(e))
        raise ProblemError.of(
            ProblemType.FORBIDDEN, f"{e} Start again at /sign-in, in the same browser."
        ) from e
    _log.info("signed in", principal=str(signed_in.user))
    response = web.Response(status=303, headers={**_HEADERS, "Location": signed_in.return_to})
    seconds = int(request.app[SIGN_IN].session_lifetime.total_seconds())
    _set_cookie(response, SESSION_COOKIE, signed_in.cookie, seconds=seconds)
    _set_cookie(response, _ATTEMPT_COOKIE, "", seconds=0)
    return response


async def post_sign_out(request: web.Request) -> web.Response:
    """Take the session from the browser. The identity provider's own session goes on."""
    refuse_forged(request)
    response = web.Response(status=204, headers=_HEADERS)
    _set_cookie(response, SESSION_COOKIE, "", seconds=0)
    return response


def _returned(request: web.Request) -> Returned:
    """Read what the identity provider has sent with the browser.

    Raises:
        SignInError: it has refused, or this is not an answer of it.
    """
    query = request.query
    if "error" in query:
        # A word by RFC 6749 section 4.1.2.1; what stands beside it is anybody's text.
        known = query["error"].isascii() and query["error"].replace("_", "").isalpha()
        raise SignInError(
            f"The identity provider refuses: {query['error'][:64] if known else 'for no reason'}."
        )
    cookie, state, code = (
        request.cookies.get(_ATTEMPT_COOKIE),
        query.get("state"),
        query.get("code"),
    )
    if not cookie or not state or not code or len(code) > _MAX_CHARACTERS:
        raise SignInError("This is not an answer to a sign-in that this browser has begun.")
    return Returned(
        cookie=cookie,
        state=state,
        code=code,
        issuer=query.get("iss"),
        client=client_address(request),
    )


def _set_cookie(response: web.Response, name: str, value: str, *, seconds: int) -> None:
    response.set_cookie(
        name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="Lax"
    )
