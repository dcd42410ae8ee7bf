"""The HTTP API as an OpenAPI 3.1 document, made of the table of operations.

https://spec.openapis.org/oas/v3.1.1.html
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any, Final

from pydantic import TypeAdapter

from sluice_contracts.http_documents import HttpProblem
from sluice_contracts.problems import ProblemType, problem
from sluice_contracts.schemas import ContractSchema, Mode
from sluice_gateway.domain.http_problem import MEDIA_TYPE
from sluice_gateway.handlers.identification import SESSION_COOKIE, WATCH
from sluice_gateway.handlers.operations import JSON, SSE, Answer, Content, Operation, Parameter
from sluice_gateway.handlers.parameters import RETRY_AFTER, TRACEPARENT, WWW_AUTHENTICATE

__all__ = ["openapi", "problems_by_status"]

_PLAIN: Final = "about:blank"
_ANY: Final = (400, 417, 421, 431, 503)
"""What HTTP itself may find wrong with a request to any operation."""

_ANY_KIND: Final = (
    ProblemType.INVALID_REQUEST,
    ProblemType.OVERLOADED,
    ProblemType.INTERNAL,
    ProblemType.UNAVAILABLE,
)
"""What the gateway may find wrong with one, or with itself."""

_RETRIED: Final = (429, 503)

_BEARER: Final = "bearer"
_SESSION: Final = "session"
_WATCH: Final = "watch"
_SECURITY_SCHEMES: Final = {
    _BEARER: {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key of Sluice, `slk_...`, or a token of an issuer that it trusts.",
    },
    _SESSION: {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": "The session of a browser that has signed in at `/sign-in`. Anything but "
        "GET and HEAD has to come from a page of the same origin.",
    },
    _WATCH: {
        "type": "apiKey",
        "in": "query",
        "name": WATCH,
        "description": "The token of a watch link, `slw_...`, which shows one run for a while.",
    },
}

Document = dict[str, Any]


def openapi(operations: Iterable[Operation]) -> Document:
    """Return the document."""
    operations = tuple(operations)
    schemas = _Schemas(operations)
    paths: dict[str, Document] = defaultdict(dict)
    for each in operations:
        paths[each.path][each.method.lower()] = _operation(each, schemas)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Sluice over HTTP",
            "version": "1.0.0",
            "description": "One POST starts exactly one Argo Workflow; its states can be read and "
            "followed. Every GET answers HEAD as well, and every path OPTIONS. Ignore members that "
            "you do not know.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(each.tag for each in operations)],
        "paths": dict(paths),
        "components": {
            "securitySchemes": _SECURITY_SCHEMES,
            "schemas": schemas.definitions,
            "responses": {
                _name(status, kinds): _problem(status, kinds, schemas)
                for each in operations
                for status, kinds in problems_by_status(each).items()
            },
        },
    }


def problems_by_status(operation: Operation) -> dict[int, list[str]]:
    """Return the `type` of each problem that the operation may answer with, by HTTP status."""
    kinds = [*operation.problems, *_ANY_KIND]
    if operation.scopes:
        kinds += [ProblemType.UNAUTHENTICATED, ProblemType.FORBIDDEN]
    if operation.is_counted:
        kinds.append(ProblemType.RATE_LIMITED)
    plain = list(_ANY)
    if operation.produces:
        kinds.append(ProblemType.NOT_ACCEPTABLE)
    if operation.body:
        kinds += [
            ProblemType.UNSUPPORTED_MEDIA_TYPE,
            ProblemType.MALFORMED_JSON,
            ProblemType.TOO_LARGE,
        ]
        plain.append(408)
    found = defaultdict(set)
    for kind in kinds:
        found[problem(kind, "").status].add(kind.value)
    for status in plain:
        found[status].add(_PLAIN)
    return {status: sorted(found[status]) for status in sorted(found)}


class _Schemas:
    """The schemas of all annotations in the table; models are components that others refer to."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        wanted: list[tuple[Any, Mode]] = [(HttpProblem, "serialization")]
        for each in operations:
            wanted += _annotations(each)
        keyed = [(index, mode, TypeAdapter(a)) for index, (a, mode) in enumerate(wanted)]
        made, definitions = TypeAdapter.json_schemas(
            keyed, ref_template="#/components/schemas/{model}", schema_generator=ContractSchema
        )
        self.definitions: Document = definitions["$defs"]
        self._made = [
            (annotation, mode, made[index, mode]) for index, (annotation, mode) in enumerate(wanted)
        ]

    def of(self, annotation: Any, mode: Mode) -> Document:  # noqa: ANN401 - what pydantic knows
        """Return the schema of an annotation that the table has."""
        return next(
            schema
            for known, known_mode, schema in self._made
            if known == annotation and known_mode == mode
        )


def _annotations(operation: Operation) -> Iterator[tuple[Any, Mode]]:
    for asked in (*operation.path_parameters, *operation.query, *operation.headers):
        yield asked.type, "validation"
    for content in operation.body:
        yield content.model, "validation"
    for answer in operation.answers:
        for header in answer.headers:
            yield header.type, "serialization"
        for content in answer.content:
            yield content.model, "serialization"
    yield TRACEPARENT.type, "serialization"
    yield RETRY_AFTER.type, "serialization"
    yield WWW_AUTHENTICATE.type, "serialization"


def _operation(operation: Operation, schemas: _Schemas) -> Document:
    responses = {str(each.status): _answer(each, schemas) for each in operation.answers}
    responses |= {
        str(status): {"$ref": f"#/components/responses/{_name(status, kinds)}"}
        for status, kinds in problems_by_status(operation).items()
    }
    described: Document = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
    }
    # One of these is needed. The names are those of scopes; nothing at all makes it public.
    described["security"] = [
        {scheme: [scope.value]} for scheme in (_BEARER, _SESSION) for scope in operation.scopes
    ]
    if operation.takes_watch_links:
        described["security"].append({_WATCH: []})
    if operation.description:
        described["description"] = operation.description
    if operation.deprecation is not None:
        described["deprecated"] = True
    if parameters := list(_parameters(operation, schemas)):
        described["parameters"] = parameters
    if operation.body:
        described["requestBody"] = {
            "required": operation.body_required,
            "content": _content(operation.body, "validation", schemas),
        }
    return {**described, "responses": responses}


def _parameters(operation: Operation, schemas: _Schemas) -> Iterator[Document]:
    for each in operation.path_parameters:
        yield _parameter(each, "path", schemas)
    for query in operation.query:
        described = _parameter(query, "query", schemas)
        if query.default is not None:
            described["schema"] = {**described["schema"], "default": query.default}
        yield described
    for each in operation.headers:
        yield _parameter(each, "header", schemas)


def _parameter(parameter: Parameter, place: str, schemas: _Schemas) -> Document:
    return {
        "name": parameter.name,
        "in": place,
        "description": parameter.description,
        "required": parameter.required,
        "schema": schemas.of(parameter.type, "validation"),
    }


def _answer(answer: Answer, schemas: _Schemas) -> Document:
    described: Document = {
        "description": answer.description,
        "headers": _headers((*answer.headers, TRACEPARENT), schemas),
    }
    if answer.content:
        described["content"] = _content(answer.content, "serialization", schemas)
    if answer.links:
        described["links"] = {
            link.name: {
                "operationId": link.operation,
                "parameters": dict(link.parameters),
                **({"description": link.description} if link.description else {}),
            }
            for link in answer.links
        }
    return described


def _problem(status: int, kinds: list[str], schemas: _Schemas) -> Document:
    schema = {
        **schemas.of(HttpProblem, "serialization"),
        "properties": {"type": {"enum": kinds}, "status": {"const": status}},
    }
    headers = (TRACEPARENT, RETRY_AFTER) if status in _RETRIED else (TRACEPARENT,)
    if status == HTTPStatus.UNAUTHORIZED:
        headers = (*headers, WWW_AUTHENTICATE)
    return {
        "description": f"{HTTPStatus(status).phrase}.",
        "headers": _headers(headers, schemas),
        "content": {MEDIA_TYPE: {"schema": schema}},
    }


def _name(status: int, kinds: list[str]) -> str:
    return "-".join(
        [str(status), *("plain" if kind == _PLAIN else kind.rpartition(":")[2] for kind in kinds)]
    )


def _content(contents: tuple[Content, ...], mode: Mode, schemas: _Schemas) -> Document:
    return {
        each.media_type: {"schema": _framed(each.media_type, schemas.of(each.model, mode))}
        for each in contents
    }


def _framed(media_type: str, schema: Document) -> Document:
    """Return the schema of one server-sent event, whose data are of the schema."""
    if media_type != SSE:
        return schema
    text = {"type": "string"}
    data = {**text, "contentMediaType": JSON, "contentSchema": schema}
    return {
        "type": "object",
        "properties": {"id": text, "event": text, "data": data, "retry": {"type": "integer"}},
    }


def _headers(headers: tuple[Parameter, ...], schemas: _Schemas) -> Document:
    return {
        each.name: {
            "description": each.description,
            "required": each.required,
            "schema": schemas.of(each.type, "serialization"),
        }
        for each in headers
    }
