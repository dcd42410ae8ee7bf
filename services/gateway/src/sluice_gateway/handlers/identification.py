"""Finds out who sends a request, before anything else is read of it."""

import asyncio
from typing import Final

import structlog
from aiohttp import web

from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.identity import Identity
from sluice_gateway.handlers.app_keys import IDENTIFICATION, IDENTITY
from sluice_gateway.handlers.operations import Operation
from sluice_gateway.handlers.request_forgery import refuse_forged, refuse_forged_without_credentials
from sluice_gateway.identity_ports import CredentialKind, Credentials, UnauthenticatedError

__all__ = ["SESSION_COOKIE", "WATCH", "AccessWatch", "identify", "is_public"]

_log = structlog.get_logger(__name__)

# A name with this prefix is taken from this very host only, by https, and for all of its paths.
SESSION_COOKIE: Final = "__Host-sluice"
WATCH: Final = "watch"
"""The query parameter of watch links."""

_CREDENTIALS: Final = web.RequestKey[Credentials | None]("credentials", Credentials)

_UNAUTHENTICATED: Final = (
    "It is not known who asks. Send an API key or a token as `Authorization: Bearer ...`; one that "
    "was sent is unknown, not valid now, or not for this service."
)
"""The same for everything that is wrong: which keys exist is nobody's business."""


async def identify(request: web.Request, operation: Operation) -> None:
    """Note who asks; refuse those who may not call the operation for any run at all.

    Raises:
        ProblemError: UNAUTHENTICATED or FORBIDDEN.
    """
    if not operation.scopes:
        return
    try:
        credentials = _credentials(request, operation)
        if credentials is None:
            refuse_forged_without_credentials(request)
        elif credentials.kind is CredentialKind.SESSION:
            refuse_forged(request)
        identity = await request.app[IDENTIFICATION].identify(credentials)
    except UnauthenticatedError as e:
        _log.info("unauthenticated", operation=operation.id, reason=str(e))
        raise ProblemError.of(ProblemType.UNAUTHENTICATED, _UNAUTHENTICATED) from e
    request[IDENTITY], request[_CREDENTIALS] = identity, credentials
    structlog.contextvars.bind_contextvars(principal=str(identity.principal))
    if not _may_call(identity, operation):
        raise ProblemError.of(
            ProblemType.FORBIDDEN,
            f"This needs the scope {' or '.join(operation.scopes)}, which {identity.principal} has "
            "not been granted. Ask the operators of Sluice for it.",
        )


class AccessWatch:
    """Says when an answer that goes on must end, because its request would be refused by now.

    Its credentials may have expired or been withdrawn, and the grants may have changed: the client
    asks again, and gets what is granted then. That is looked up every `every` seconds.
    """

    def __init__(self, request: web.Request, *, every: float) -> None:
        self._request = request
        self._every = every
        self._next = self._now() + every

    async def has_ended(self) -> bool:
        """Return whether the access of the request has ended, or was another one when it began."""
        if self._now() < self._next:
            return False
        self._next = self._now() + self._every
        request = self._request
        try:
            identity = await request.app[IDENTIFICATION].identify(request[_CREDENTIALS])
        except (UnauthenticatedError, ProblemError):
            return True
        return identity.access != request[IDENTITY].access

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def is_public(request: web.Request) -> bool:
    """Return whether the answer would be the same for everybody."""
    return IDENTITY not in request


def _may_call(identity: Identity, operation: Operation) -> bool:
    if identity.access.run is not None and not operation.takes_watch_links:
        return False
    return any(identity.access.allows_somewhere(scope) for scope in operation.scopes)


def _credentials(request: web.Request, operation: Operation) -> Credentials | None:
    """Return what the request shows; what a program or a link says counts before a cookie.

    Raises:
        UnauthenticatedError: it shows something in a way that is not taken.
    """
    values = request.headers.getall("Authorization", [])
    if not values:
        return _watch_link(request, operation) or _session(request)
    scheme, _, token = values[0].strip().partition(" ")
    if len(values) > 1 or scheme.lower() != "bearer":
        raise UnauthenticatedError("an Authorization that is not one Bearer token")
    return Credentials(CredentialKind.BEARER, token.strip())


def _watch_link(request: web.Request, operation: Operation) -> Credentials | None:
    links = request.query.getall(WATCH, []) if operation.takes_watch_links else []
    if len(links) > 1:
        raise UnauthenticatedError("two watch links")
    return Credentials(CredentialKind.WATCH, links[0]) if links else None


def _session(request: web.Request) -> Credentials | None:
    cookie = request.cookies.get(SESSION_COOKIE)
    return Credentials(CredentialKind.SESSION, cookie) if cookie else None
