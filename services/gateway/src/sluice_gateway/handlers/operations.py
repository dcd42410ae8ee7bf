"""What an operation is: one declaration for the router, the checks of a request, and OpenAPI.

To add an operation, write its handler and an `Operation` beside it, in the module's `OPERATIONS`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from functools import cached_property
from http import HTTPStatus
from typing import Any, Final, Generic, Literal, TypeVar, cast

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import TypeAdapter, ValidationError

from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.identity import Scope

__all__ = [
    "JSON",
    "NDJSON",
    "OPERATION",
    "QUERY",
    "SSE",
    "Answer",
    "Content",
    "Deprecation",
    "Link",
    "Operation",
    "Parameter",
    "QueryParameter",
]

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
SSE: Final = "text/event-stream"

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A part of a path, or a header of a request or answer; its handler reads it.

    `type` is an annotation, of which pydantic makes the JSON Schema.
    """

    name: str
    type: Any
    description: str
    required: bool = False


@dataclass(frozen=True, kw_only=True)
class QueryParameter(Parameter, Generic[T]):
    """A query parameter, which is validated before the handler: `NAME.of(request)`.

    A repeatable one may be given several times, and its `type` is a tuple.
    """

    default: T | None = None
    repeatable: bool = False

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self.type)

    def read(self, texts: list[str]) -> T:
        """Return the value; `texts` are as the query has them, at least one.

        Raises:
            ValueError: the message says what is wrong, without the value.
        """
        if not self.repeatable and len(texts) > 1:
            raise ValueError("It is given twice.")
        try:
            return self._adapter.validate_python(texts if self.repeatable else texts[0])
        except ValidationError as e:
            message = e.errors()[0]["msg"].removeprefix("Value error, ").removesuffix(".")
            raise ValueError(f"{message}.") from e

    def of(self, request: web.Request) -> T:
        """Return the value in the request, else the default; the operation declares it."""
        return cast("T", request[QUERY].get(self.name, self.default))


@dataclass(frozen=True, kw_only=True)
class Content:
    """A body of one media type.

    `model` is an annotation that pydantic knows. Of a stream it is what each event or line holds.
    """

    media_type: str = JSON
    model: Any


@dataclass(frozen=True, kw_only=True)
class Link:
    """What to call next; `parameters` are runtime expressions, as `$response.body#/id`.

    https://spec.openapis.org/oas/v3.1.1.html#runtime-expressions
    """

    name: str
    operation: str
    parameters: Mapping[str, str]
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer other than a problem. Each of its media types can be asked for by `Accept`."""

    status: int
    description: str
    content: tuple[Content, ...] = ()
    headers: tuple[Parameter, ...] = ()
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Deprecation:
    """Since when an operation is deprecated (RFC 9745) and until when it works (RFC 8594).

    `link` is the address of a page that says what to use instead.
    """

    since: datetime
    sunset: datetime
    link: str

    def headers(self) -> dict[str, str]:
        """Return the headers that every answer of the operation has."""
        return {
            "Deprecation": f"@{int(self.since.timestamp())}",
            "Sunset": format_datetime(self.sunset, usegmt=True),
            "Link": f'<{self.link}>; rel="deprecation"',
        }


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one path.

    `scopes` let a principal in: one of them, for any run at all. The handler decides about the run.
    An operation without scopes is public. `takes_watch_links` says whether a watch link of the run
    is as good as a scope. `problems` are those of its own; what any operation may answer is in
    `handlers.openapi`. A GET answers HEAD as well, by the same handler; aiohttp leaves out the
    body.
    """

    id: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    handler: Handler
    scopes: tuple[Scope, ...]
    summary: str
    answers: tuple[Answer, ...]
    tag: str = "runs"
    description: str = ""
    path_parameters: tuple[Parameter, ...] = ()
    query: tuple[QueryParameter[Any], ...] = ()
    headers: tuple[Parameter, ...] = ()
    body: tuple[Content, ...] = ()
    body_required: bool = True
    problems: tuple[ProblemType, ...] = ()
    deprecation: Deprecation | None = None
    takes_watch_links: bool = False
    produces: tuple[str, ...] = field(init=False)
    """The media types of its successes, the default first."""

    def __post_init__(self) -> None:
        """Collect the media types."""
        successes = (each for each in self.answers if each.status < HTTPStatus.MULTIPLE_CHOICES)
        found = [content.media_type for answer in successes for content in answer.content]
        object.__setattr__(self, "produces", tuple(dict.fromkeys(found)))

    @cached_property
    def is_counted(self) -> bool:
        """Whether quotas count it: it writes records."""
        return bool({Scope.START, Scope.COMMAND} & set(self.scopes))

    @cached_property
    def varies(self) -> str:
        """What an answer depends on beside the target: the value of Vary; may be empty."""
        headers = ["Accept"] if len(self.produces) > 1 else []
        # The principal decides what is shown.
        headers += ["Authorization", "Cookie"] if self.scopes else []
        return ", ".join(headers)


OPERATION: Final = web.RequestKey("operation", Operation)
"""The operation that the request is for."""

QUERY: Final = web.RequestKey("query", dict[str, Any])
"""The valid query parameters by name; `QueryParameter.of` reads them."""
