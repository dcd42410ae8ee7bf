"""The contracts, for programs at /openapi.json and /asyncapi.json and for people at /docs.

/docs is Swagger UI, from files of ours alone and under a policy that allows no others.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

from aiohttp import web
from pydantic import JsonValue

from sluice_contracts.asyncapi import asyncapi
from sluice_contracts.problems import ProblemType
from sluice_contracts.schemas import as_text
from sluice_contracts.topics import TopicNames
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.handlers.json_answers import NOT_MODIFIED, digest_of, send_versioned
from sluice_gateway.handlers.openapi import openapi
from sluice_gateway.handlers.operations import JSON, Answer, Content, Operation, Parameter
from sluice_gateway.handlers.parameters import ETAG, IF_NONE_MATCH

__all__ = ["OPERATIONS", "REFERENCE", "Reference", "reference_of"]

_HTML: Final = "text/html"
_KINDS: Final = {"js": "text/javascript", "css": "text/css"}
_FILES: Final = (
    "swagger-ui/swagger-ui-bundle.js",
    "swagger-ui/swagger-ui.css",
    "docs.js",
    "docs.css",
)
_SECURITY: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_IMMUTABLE: Final = {"Cache-Control": "public, max-age=31536000, immutable"}


@dataclass(frozen=True, kw_only=True)
class _File:
    """A file that is sent as it is."""

    body: bytes
    version: str
    media_type: str


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The documents and the page; `files` are those that the page needs, by names with a digest."""

    openapi: _File
    asyncapi: _File
    page: _File
    files: dict[str, _File]


REFERENCE: Final = web.AppKey("reference", Reference)


def reference_of(
    operations: Iterable[Operation],
    topics: TopicNames,
    *,
    controls_topic: str | None = None,
    audit_topic: str | None = None,
) -> Reference:
    """Make the documents, and read the page's files."""
    page, files = _page()
    return Reference(
        openapi=_document(openapi(operations)),
        asyncapi=_document(asyncapi(topics, controls=controls_topic, audit=audit_topic)),
        page=page,
        files=files,
    )


async def get_openapi(request: web.Request) -> web.StreamResponse:
    """Describe the HTTP API."""
    return await _send(request, request.app[REFERENCE].openapi, {})


async def get_asyncapi(request: web.Request) -> web.StreamResponse:
    """Describe the topics, by the names that they have here."""
    return await _send(request, request.app[REFERENCE].asyncapi, {})


async def get_docs(request: web.Request) -> web.StreamResponse:
    """Show the HTTP API to people."""
    return await _send(request, request.app[REFERENCE].page, _SECURITY)


async def get_docs_file(request: web.Request) -> web.StreamResponse:
    """Send a file of the page; another content has another name."""
    file = request.app[REFERENCE].files.get(request.match_info["file"])
    if file is None:
        raise ProblemError.of(ProblemType.NOT_FOUND, "/docs does not need such a file.")
    return await _send(request, file, _SECURITY | _IMMUTABLE)


async def _send(request: web.Request, file: _File, headers: dict[str, str]) -> web.StreamResponse:
    return await send_versioned(
        request, file.body, version=file.version, media_type=file.media_type, headers=headers
    )


def _document(document: dict[str, Any]) -> _File:
    return _file(as_text(document).encode(), JSON)


def _file(body: bytes, media_type: str) -> _File:
    return _File(body=body, version=digest_of(body), media_type=media_type)


@cache
def _page() -> tuple[_File, dict[str, _File]]:
    """Read the page's files from the package, once."""
    static = resources.files("sluice_gateway").joinpath("static")
    page = static.joinpath("docs.html").read_text("utf-8")
    files = {}
    for path in _FILES:
        name = path.rpartition("/")[2]
        stem, _, extension = name.rpartition(".")
        file = _file(static.joinpath(path).read_bytes(), f"{_KINDS[extension]}; charset=utf-8")
        versioned = f"{stem}.{file.version[:16]}.{extension}"
        files[versioned] = file
        page = page.replace(f"{{{name}}}", versioned)
    return _file(page.encode(), f"{_HTML}; charset=utf-8"), files


def _answers(*media_types: str, model: Any, description: str) -> tuple[Answer, ...]:  # noqa: ANN401 - what pydantic knows
    content = tuple(Content(media_type=each, model=model) for each in media_types)
    found = Answer(status=200, description=description, content=content, headers=(ETAG,))
    return (found, NOT_MODIFIED)


OPERATIONS: Final = (
    Operation(
        id="getOpenapi",
        method="GET",
        path="/openapi.json",
        handler=get_openapi,
        scopes=(),
        tag="about",
        summary="Describe the HTTP API by OpenAPI 3.1.",
        headers=(IF_NONE_MATCH,),
        answers=_answers(JSON, model=dict[str, JsonValue], description="The document."),
        problems=(ProblemType.OVERLOADED,),
    ),
    Operation(
        id="getAsyncapi",
        method="GET",
        path="/asyncapi.json",
        handler=get_asyncapi,
        scopes=(),
        tag="about",
        summary="Describe the Kafka topics by AsyncAPI 3.",
        headers=(IF_NONE_MATCH,),
        answers=_answers(JSON, model=dict[str, JsonValue], description="The document."),
        problems=(ProblemType.OVERLOADED,),
    ),
    Operation(
        id="getDocs",
        method="GET",
        path="/docs",
        handler=get_docs,
        scopes=(),
        tag="about",
        summary="Show the HTTP API to people.",
        headers=(IF_NONE_MATCH,),
        answers=_answers(_HTML, model=str, description="A page for browsers."),
        problems=(ProblemType.OVERLOADED,),
    ),
    Operation(
        id="getDocsFile",
        method="GET",
        path="/docs/{file}",
        handler=get_docs_file,
        scopes=(),
        tag="about",
        summary="Send a file that the page needs.",
        path_parameters=(
            Parameter(name="file", type=str, description="A name in the page.", required=True),
        ),
        headers=(IF_NONE_MATCH,),
        answers=_answers(*_KINDS.values(), model=str, description="The file."),
        problems=(ProblemType.NOT_FOUND, ProblemType.OVERLOADED),
    ),
)
