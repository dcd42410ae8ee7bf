"""Entries from a YAML file: WorkflowTemplates of the cluster, with the parameters they declare.

Unknown fields, duplicate keys and values of another type are refused, with their place.
"""

from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    TypeAdapter,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import SchemaError

from sluice_contracts.graphs import PlannedGraph
from sluice_workflows.entries import Concurrency, Entry, TemplateRef, WhenFull
from sluice_workflows.errors import CatalogueError
from sluice_workflows.parameters import Parameters, PlainText, Text

__all__ = ["read_catalogue", "read_catalogue_file"]

_JSON_INTEGER: Final = 2**53 - 1
# Where pydantic's locations have the parameter's type: entries, 2, parameters, 0, integer, max.
_TAG: Final = 4


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _Parameter(_Strict):
    name: str
    description: str | None = None


class _TextParameter(_Parameter):
    """Any text; the WorkflowTemplate gets it base64url-encoded."""

    type: Literal["text"]
    max_bytes: int = Field(default=64 * 1024, ge=1)
    default: str | None = None

    def annotation(self) -> Any:  # noqa: ANN401 a type that pydantic understands
        return Annotated[str, Text(max_bytes=self.max_bytes)]


class _StringParameter(_Parameter):
    """Text that Argo gets unencoded, and which is therefore restricted."""

    type: Literal["string"]
    max_bytes: int = Field(default=4096, ge=1)
    pattern: str | None = None
    multiline: bool = False
    default: str | None = None

    def annotation(self) -> Any:  # noqa: ANN401
        plain = PlainText(max_bytes=self.max_bytes, pattern=self.pattern, multiline=self.multiline)
        return Annotated[str, plain]


class _IntegerParameter(_Parameter):
    type: Literal["integer"]
    min: int = Field(default=-_JSON_INTEGER, ge=-_JSON_INTEGER)
    max: int = Field(default=_JSON_INTEGER, le=_JSON_INTEGER)
    default: int | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min > self.max:
            raise ValueError("min is greater than max")
        return self

    def annotation(self) -> Any:  # noqa: ANN401
        return Annotated[int, Field(ge=self.min, le=self.max)]


class _BooleanParameter(_Parameter):
    type: Literal["boolean"]
    default: bool | None = None

    def annotation(self) -> Any:  # noqa: ANN401
        return bool


class _EnumParameter(_Parameter):
    type: Literal["enum"]
    values: list[str] = Field(min_length=1)
    default: str | None = None

    def annotation(self) -> Any:  # noqa: ANN401
        return Literal[tuple(self.values)]


_AnyParameter: TypeAlias = Annotated[
    _TextParameter | _StringParameter | _IntegerParameter | _BooleanParameter | _EnumParameter,
    Discriminator("type"),
]


class _Template(_Strict):
    name: str
    cluster_scope: bool = False


class _Concurrency(_Strict):
    key: str
    limit: int = 1
    when_full: WhenFull = "queue"


class _Entry(_Strict):
    name: str
    description: str
    template: _Template
    private_parameters: bool = False
    parameters: list[_AnyParameter] = []
    graph: PlannedGraph | None = None
    concurrency: _Concurrency | None = None


class _File(_Strict):
    entries: list[_Entry]


def read_catalogue_file(path: Path) -> tuple[Entry, ...]:
    """Return the file's entries.

    Raises:
        CatalogueError: the file is unreadable or invalid; the message names file and place.
    """
    try:
        content = path.read_bytes()
    except OSError as e:
        raise CatalogueError(f"{path}: cannot be read: {e.strerror}") from e
    return read_catalogue(content, source=str(path))


def read_catalogue(content: bytes, *, source: str) -> tuple[Entry, ...]:
    """Return the entries of a file's content; `source` is what messages name.

    Raises:
        CatalogueError: the content is invalid; the message has the place.
    """
    try:
        document = yaml.load(content, Loader=_UniqueKeyLoader)  # noqa: S506 a SafeLoader
        file = _File.model_validate(document)
    except yaml.YAMLError as e:
        raise CatalogueError(f"{source}: is not valid YAML for a catalogue: {e}") from e
    except ValidationError as e:
        raise CatalogueError(_located(source, e)) from None
    return tuple(_entry(source, i, entry) for i, entry in enumerate(file.entries))


def _entry(source: str, index: int, entry: _Entry) -> Entry:
    place = f"entries[{index}]"
    fields: dict[str, Any] = {}
    names: set[str] = set()
    for i, parameter in enumerate(entry.parameters):
        at = f"{place}.parameters[{i}]"
        if parameter.name in names:
            raise CatalogueError(f"{source}: {at}.name: `{parameter.name}` is declared twice")
        names.add(parameter.name)
        # The alias is the name: Argo's names may contain dashes, Python's may not.
        fields[f"parameter_{i}"] = (_checked(source, at, parameter), _field(parameter))
    try:
        return Entry(
            name=entry.name,
            description=entry.description,
            parameters=create_model(f"Parameters_{index}", __base__=Parameters, **fields),
            template=TemplateRef(
                name=entry.template.name, cluster_scope=entry.template.cluster_scope
            ),
            private_parameters=entry.private_parameters,
            graph=entry.graph,
            concurrency=None
            if entry.concurrency is None
            else Concurrency(**entry.concurrency.model_dump()),
        )
    except CatalogueError as e:
        raise CatalogueError(f"{source}: {place}: {e}") from e


def _field(parameter: _AnyParameter) -> Any:  # noqa: ANN401 what pydantic takes as a field
    default = ... if parameter.default is None else parameter.default
    return Field(default, alias=parameter.name, description=parameter.description)


def _checked(source: str, place: str, parameter: _AnyParameter) -> Any:  # noqa: ANN401
    """Return the parameter's type, after validating the default with it."""
    annotation = parameter.annotation()
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        if parameter.default is not None:
            adapter.validate_python(parameter.default, strict=True)
    except SchemaError as e:
        raise CatalogueError(
            f"{source}: {place}.pattern: is not a valid regular expression "
            "(Rust's syntax, without look-around and back-references)"
        ) from e
    except ValidationError as e:
        message = e.errors(include_url=False)[0]["msg"]
        raise CatalogueError(f"{source}: {place}.default: {message}") from None
    return annotation


def _located(source: str, error: ValidationError) -> str:
    lines = []
    for item in error.errors(include_url=False, include_input=False):
        message = {
            "missing": "is missing",
            "extra_forbidden": "is not a known field; check its spelling",
        }.get(item["type"], item["msg"].removeprefix("Value error, "))
        lines.append(f"{source}: {_place(item['loc'])}: {message}")
    return "\n".join(lines)


def _place(location: tuple[int | str, ...]) -> str:
    if not location:
        return "top level"
    parts = [
        part for i, part in enumerate(location) if not (i == _TAG and location[2] == "parameters")
    ]
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)[1:]


class _UniqueKeyLoader(yaml.SafeLoader):
    """A loader that refuses duplicate keys; in YAML, a later key silently replaces an earlier."""


def _unique_keys(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    seen: set[str] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key `{key.value}` is duplicated", key.start_mark
                )
            seen.add(key.value)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_UniqueKeyLoader.add_constructor("tag:yaml.org,2002:map", _unique_keys)
