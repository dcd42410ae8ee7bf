"""Parameters of a workflow: strict models whose values become plain strings for Argo.

Argo also substitutes `{{…}}` inside parameter values, so it must not get free text unencoded.
`Text` is base64url-encoded (RFC 4648 §5, padded), and that alphabet has no braces. All other kinds
are restricted to values that Argo cannot evaluate.
"""

import base64
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

__all__ = [
    "Kind",
    "Parameters",
    "PlainText",
    "Text",
    "encode",
    "encoded_length",
    "is_multiline",
    "kind_of",
    "max_bytes",
    "why_evaluated",
    "wire_names",
]

# JSON numbers are exact up to this (RFC 8259 §6); it also bounds the length of the argument.
_INTEGER_LIMIT: Final = 2**53

# Argo quotes a value with Go's `strconv.Quote` and inserts it into JSON. JSON has none of Go's
# escapes `\a`, `\v`, `\x7f` and `\U000e0067`: such a value ends the run in Error, "the result was
# invalid JSON" (v4.0 util/template/simple_template.go and replace.go).
_BASIC_PLANE: Final = 0xFFFF
_PRINTED_BY_GO: Final = frozenset("LMNPS")
_CONTROLS: Final = r"[\u0000-\u001f\u007f-\u009f]"
_CONTROLS_IN_LINES: Final = r"[\u0000-\u0008\u000b-\u001f\u007f-\u009f]"
_EVALUATED: Final = r"\{\{|\$\(|\$\$|\{$"


class Parameters(BaseModel):
    """Base of all parameter models: no coercion, no unknown names, immutable."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


@dataclass(frozen=True, kw_only=True)
class Text:
    """Any Unicode text: `Annotated[str, Text(max_bytes=1024)]`.

    `max_bytes` counts UTF-8 bytes. The step gets base64url of the UTF-8 bytes and decodes it.
    """

    max_bytes: int

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return the field's schema with a check of the length after all other checks."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema of a plain string; clients do not encode the value."""
        return _sized(handler(schema), max_bytes=self.max_bytes)

    def _check(self, value: str) -> str:
        _check_size(value, max_bytes=self.max_bytes)
        return value


@dataclass(frozen=True, kw_only=True)
class PlainText:
    r"""Text that Argo gets unencoded, for a WorkflowTemplate that expects plain text.

    Control characters, `{{`, a `{` at the end, `$(` and `$$` are refused. With them a value, alone
    or with the text after it, could become an expression of Argo or Kubernetes. With `multiline`,
    newlines (`\n`) and tabs are allowed. `pattern` is a regular expression (Rust's, so linear in
    time) that must match the whole value.
    """

    max_bytes: int = 4096
    pattern: str | None = None
    multiline: bool = False

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return the field's schema with the author's pattern and the checks of this class."""
        if self.pattern is None:
            schema = handler(source)
        else:
            schema = core_schema.str_schema(strict=True, pattern=f"^(?:{self.pattern})$")
        return core_schema.no_info_after_validator_function(self._check, schema)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema of a plain string with its limits and what it must not contain."""
        refused = {"not": {"pattern": f"{self._controls}|{_EVALUATED}"}}
        return _sized(handler(schema), max_bytes=self.max_bytes) | refused

    @property
    def _controls(self) -> str:
        return _CONTROLS_IN_LINES if self.multiline else _CONTROLS

    def _check(self, value: str) -> str:
        _check_size(value, max_bytes=self.max_bytes)
        if (why := why_evaluated(value)) is not None:
            raise PydanticCustomError("evaluated_text", "{why}", {"why": why})
        if re.search(self._controls, value):
            detail = "must not contain control characters"
            if self.multiline:
                detail += " except newlines (\\n) and tabs"
            raise PydanticCustomError("control_character", detail)
        if not all(map(_reaches_argo, value)):
            raise PydanticCustomError(
                "unprintable_character",
                "must not contain characters beyond U+FFFF that are not printable, because Argo "
                "would fail on them",
            )
        return value


def why_evaluated(value: str) -> str | None:
    """Return why a value would not reach a step as it is; None if it would.

    It is alone or beside other text in the fields of a template.
    """
    if "{{" in value or value.endswith("{"):
        return "must not contain '{{' or end in '{', because Argo would evaluate it"
    if "$(" in value:
        return "must not contain '$(', because Kubernetes would expand it"
    if "$$" in value:
        # k8s.io/kubernetes third_party/forked/golang/expansion: it escapes a `$`.
        return "must not contain '$$', because Kubernetes would make it one '$'"
    return None


class Kind(Enum):
    """The encoding of a field's value as an argument."""

    TEXT = auto()
    PLAIN_TEXT = auto()
    INTEGER = auto()
    BOOLEAN = auto()
    CHOICE = auto()


def kind_of(field: FieldInfo) -> Kind:
    """Return the encoding of the field's values.

    Raises:
        TypeError: the type has no safe encoding, for example a bare `str`.
    """
    annotation = field.annotation
    if annotation is str:
        for marker in field.metadata:
            if isinstance(marker, Text):
                return Kind.TEXT
            if isinstance(marker, PlainText):
                return Kind.PLAIN_TEXT
        raise TypeError(
            "is a bare str: use Annotated[str, Text(max_bytes=…)] for any text, "
            "or Annotated[str, PlainText()] for text that Argo gets unencoded"
        )
    if annotation is bool:
        return Kind.BOOLEAN
    if annotation is int:
        return Kind.INTEGER
    if get_origin(annotation) is Literal:
        choices = get_args(annotation)
        if all(isinstance(choice, str) and "{" not in choice for choice in choices):
            return Kind.CHOICE
        raise TypeError("is a Literal: its values must be strings without braces")
    raise TypeError(
        f"is a {annotation}: a parameter must be text, an int, a bool, or a Literal of strings"
    )


def encode(kind: Kind, value: object) -> str:
    """Return a validated value of this kind as it appears in `spec.arguments.parameters`.

    Raises:
        ValueError: an integer is too large to be exact in JSON.
    """
    match kind:
        case Kind.TEXT:
            return base64.urlsafe_b64encode(str(value).encode()).decode()
        case Kind.BOOLEAN:
            return "true" if value else "false"
        case Kind.INTEGER:
            if not (isinstance(value, int) and abs(value) < _INTEGER_LIMIT):
                raise ValueError("must be between -2^53 and 2^53")
            return str(value)
        case Kind.PLAIN_TEXT | Kind.CHOICE:
            return str(value)


def max_bytes(field: FieldInfo) -> int | None:
    """Return the limit of a text field in UTF-8 bytes; None for any other field."""
    limits = [m.max_bytes for m in field.metadata if isinstance(m, Text | PlainText)]
    return limits[0] if limits else None


def is_multiline(field: FieldInfo) -> bool:
    """Return whether values may have several lines."""
    return any(
        isinstance(marker, Text) or (isinstance(marker, PlainText) and marker.multiline)
        for marker in field.metadata
    )


def encoded_length(field: FieldInfo) -> int:
    """Return the bytes of the field's longest argument; numbers and choices count as 0."""
    limit = max_bytes(field) or 0
    return 4 * -(-limit // 3) if kind_of(field) is Kind.TEXT else limit


def wire_names(model: type[Parameters]) -> Mapping[str, FieldInfo]:
    """Return the model's fields by the names that requests and Argo use."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _reaches_argo(character: str) -> bool:
    printed = unicodedata.category(character)[0] in _PRINTED_BY_GO
    return printed or ord(character) <= _BASIC_PLANE


def _check_size(value: str, *, max_bytes: int) -> None:
    try:
        size = len(value.encode())
    except UnicodeEncodeError as e:
        raise PydanticCustomError(
            "lone_surrogate", "has a lone surrogate, which UTF-8 cannot encode"
        ) from e
    if size > max_bytes:
        raise PydanticCustomError(
            "too_many_bytes",
            "has {size} bytes as UTF-8; {max_bytes} are allowed",
            {"size": size, "max_bytes": max_bytes},
        )


def _sized(schema: JsonSchemaValue, *, max_bytes: int) -> JsonSchemaValue:
    """Return the schema with the limit; a string has at most as many characters as bytes."""
    return schema | {"maxLength": max_bytes}
