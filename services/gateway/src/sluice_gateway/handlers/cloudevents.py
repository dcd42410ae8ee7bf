"""CloudEvents in the requests of clients, in binary and in structured mode.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

from typing import Annotated, Final, Literal
from urllib.parse import unquote

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from pydantic.json_schema import SkipJsonSchema

from sluice_contracts.cloudevents import IDENTIFYING, Envelope, read_envelope
from sluice_contracts.requests import RunRequest
from sluice_gateway.handlers.operations import Parameter
from sluice_gateway.handlers.run_requests import document_problems

__all__ = ["BATCH", "BINARY", "RunEvent", "binary_envelope"]

BATCH: Final = "application/cloudevents-batch+json"

BINARY: Final = tuple(
    Parameter(
        name=f"ce-{name}",
        type=Literal["1.0"] if name == "specversion" else str,
        description=f"The attribute `{name}` of a CloudEvent in binary mode.",
    )
    for name in IDENTIFYING
)
"""The headers of a CloudEvent in binary mode; without `ce-specversion` a body is not an event."""

_Text = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]


def _without_default(schema: JsonDict) -> None:
    # It is not a value that a client may send.
    del schema["default"]


class RunEvent(BaseModel):
    """A CloudEvent in structured mode that asks for a run.

    If the request states no id, `source` and `id` of the event together identify the run.
    """

    model_config = ConfigDict(
        extra="allow",
        frozen=True,
        json_schema_extra={"oneOf": [{"required": ["data"]}, {"required": ["data_base64"]}]},
    )

    specversion: Literal["1.0"]
    id: _Text
    source: _Text
    type: Annotated[_Text, Field(description="Anything; the request alone says what to run.")]
    data: Annotated[
        RunRequest | SkipJsonSchema[None],
        Field(description="The request for a run.", json_schema_extra=_without_default),
    ] = None
    data_base64: Annotated[
        str | SkipJsonSchema[None],
        Field(
            description="The request's JSON in base64, instead of `data`.",
            json_schema_extra=_without_default,
        ),
    ] = None


def binary_envelope(request: web.Request) -> Envelope | None:
    """Return the envelope of an event in binary mode, None if the request is not one.

    Raises:
        ProblemError: MALFORMED_EVENT.
    """
    if "ce-specversion" not in request.headers:
        return None
    with document_problems():
        return read_envelope({name: _attribute(request, f"ce-{name}") for name in IDENTIFYING})


def _attribute(request: web.Request, name: str) -> str | None:
    """Return an attribute's text, which headers hold in percent-encoding (section 3.1.3.2)."""
    values = request.headers.getall(name, [])
    if len(values) != 1:
        return None
    text = values[0].strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    try:
        text = unquote(text, errors="strict")
        # aiohttp keeps bytes that are not UTF-8 as lone surrogates.
        text.encode()
    except UnicodeError:
        return None
    return text
