"""Makes routes of operations; each checks a request as its declaration says, then handles it."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler

from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.media_types import preferred
from sluice_gateway.handlers.auditing import note_refusal
from sluice_gateway.handlers.identification import WATCH, identify
from sluice_gateway.handlers.operations import OPERATION, QUERY, Operation
from sluice_gateway.handlers.request_body import expect_body

__all__ = ["MEDIA_TYPE", "routes"]

MEDIA_TYPE: Final = web.RequestKey("media_type", str)
"""The media type that the client prefers of those that the operation produces."""


def routes(operations: Iterable[Operation]) -> list[web.RouteDef]:
    """Return a route for each operation, a HEAD for each GET, and an OPTIONS for each path."""
    made = []
    methods: dict[str, set[str]] = defaultdict(lambda: {"OPTIONS"})
    posted: dict[str, str] = {}
    for each in operations:
        methods[each.path] |= {"GET", "HEAD"} if each.method == "GET" else {each.method}
        # aiohttp adds HEAD to a GET.
        expect = expect_body if each.body else None
        made.append(web.route(each.method, each.path, _checked(each), expect_handler=expect))
        if each.method == "POST":
            posted[each.path] = ", ".join(content.media_type for content in each.body)
    made += [
        web.route("OPTIONS", path, _options(allowed, accepts_post=posted.get(path, "")))
        for path, allowed in methods.items()
    ]
    return made


def _checked(operation: Operation) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        request[OPERATION] = operation
        try:
            await identify(request, operation)
            if operation.produces:
                request[MEDIA_TYPE] = _media_type(request, operation)
            request[QUERY] = _query(request, operation)
            if operation.body and (operation.body_required or request.can_read_body):
                _check_body_type(request, operation)
            return await operation.handler(request)
        except ProblemError as e:
            note_refusal(request, e)
            raise

    return handle


def _options(methods: set[str], *, accepts_post: str) -> Handler:
    headers = {"Allow": ", ".join(sorted(methods))}
    if accepts_post:
        # https://www.w3.org/TR/ldp/#header-accept-post
        headers["Accept-Post"] = accepts_post

    async def options(_: web.Request) -> web.Response:
        return web.Response(status=204, headers=headers)

    return options


def _query(request: web.Request, operation: Operation) -> dict[str, Any]:
    """Read the query; refuse what means nothing here, because the client believes that it does.

    Raises:
        ProblemError: INVALID_REQUEST.
    """
    known = {each.name: each for each in operation.query}
    values = {}
    for name in dict.fromkeys(request.query):
        if name == WATCH and operation.takes_watch_links:
            continue
        if name not in known:
            raise _invalid(f"Unknown query parameter {name[:64]!r}.")
        try:
            values[name] = known[name].read(request.query.getall(name))
        except ValueError as e:
            raise _invalid(f"The query parameter {name} is not valid: {e}") from e
    for each in operation.query:
        if each.required and each.name not in values:
            raise _invalid(f"The query parameter {each.name} is missing.")
    return values


def _media_type(request: web.Request, operation: Operation) -> str:
    accept = ",".join(request.headers.getall("Accept", []))
    found = preferred(accept, operation.produces)
    if found is None:
        raise ProblemError.of(
            ProblemType.NOT_ACCEPTABLE,
            f"The answer is given as {' or '.join(operation.produces)} only.",
        )
    return found


def _check_body_type(request: web.Request, operation: Operation) -> None:
    if request.headers.get("Content-Encoding") is not None:
        raise ProblemError.of(
            ProblemType.UNSUPPORTED_MEDIA_TYPE, "The body must not be encoded (compressed)."
        )
    taken = [content.media_type for content in operation.body]
    stated = request.headers.getall("Content-Type", [])
    if len(stated) == 1 and stated[0] in taken:
        return
    utf_8 = (request.charset or "utf-8").lower() in ("utf-8", "utf8")
    if len(stated) != 1 or request.content_type not in taken or not utf_8:
        raise ProblemError.of(
            ProblemType.UNSUPPORTED_MEDIA_TYPE,
            f"The Content-Type must be {' or '.join(taken)}, in UTF-8.",
        )


def _invalid(detail: str) -> ProblemError:
    return ProblemError.of(ProblemType.INVALID_REQUEST, detail)
