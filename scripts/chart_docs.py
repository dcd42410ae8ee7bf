"""Copies the descriptions in a chart's values.yaml to its README and schema: `make chart`.

A description is a comment `# -- …` right above its value, of one or more lines. It describes the
value as a whole. A mapping without a description is a section; its values have descriptions.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = [
    "CHARTS",
    "Value",
    "described_readme",
    "described_schema",
    "readme_of",
    "schema_of",
    "values_of",
]

CHARTS = [Path("helm/sluice"), Path("helm/kafka"), Path("helm/workflows")]

_MARK = "# -- "
_HEADING = "## Values\n"

Schema = dict[str, Any]


@dataclass(frozen=True)
class Value:
    """A value with its description."""

    path: tuple[str, ...]
    default: Any
    description: str


def readme_of(chart: Path) -> Path:
    """Return the chart's README."""
    return chart / "README.md"


def schema_of(chart: Path) -> Path:
    """Return the schema of the chart's values."""
    return chart / "values.schema.json"


def values_of(text: str) -> list[Value]:
    """Return all values of a values.yaml, in order.

    Raises:
        ValueError: a value has no description.
    """
    return list(_values(yaml.compose(text), yaml.safe_load(text), text.splitlines()))


def _values(
    node: yaml.Node | None,
    content: dict[str, Any],
    lines: list[str],
    path: tuple[str, ...] = (),
) -> Iterator[Value]:
    if not isinstance(node, yaml.MappingNode) or not node.value:
        raise ValueError(f"{'.'.join(path)} is not described")
    for key, value in node.value:
        place = (*path, key.value)
        description = _comment_above(key.start_mark.line, lines)
        if description is None:
            yield from _values(value, content[key.value], lines, place)
        else:
            yield Value(place, content[key.value], description)


def _comment_above(line: int, lines: list[str]) -> str | None:
    said: list[str] = []
    for comment in (above.strip() for above in reversed(lines[:line])):
        if comment.startswith(_MARK):
            return " ".join([comment.removeprefix(_MARK), *said])
        if not comment.startswith("# "):
            return None
        said.insert(0, comment.removeprefix("# "))
    return None


def described_readme(readme: str, values: list[Value]) -> str:
    """Return the README with a table of these values at its end."""
    rows = [
        f"| `{'.'.join(value.path)}` | `{json.dumps(value.default)}` | {value.description} |"
        for value in values
    ]
    table = "\n".join(["| value | default | is |", "| --- | --- | --- |", *rows])
    return f"{readme.partition(_HEADING)[0]}{_HEADING}\n{table}\n"


def described_schema(schema: Schema, values: list[Value]) -> Schema:
    """Return the schema with these descriptions; a shared definition keeps the first one's.

    Raises:
        ValueError: the schema does not have a value.
    """
    described: Schema = json.loads(json.dumps(schema))
    _forget_descriptions(described.get("properties", {}))
    _forget_descriptions(described.get("$defs", {}))
    for value in values:
        place = described
        for name in value.path:
            place = _property(described, place, name)
        place.setdefault("description", value.description)
    return described


def _property(root: Schema, schema: Schema, name: str) -> Schema:
    for part in _parts(root, schema):
        found: Schema | None = part.get("properties", {}).get(name)
        if found is not None:
            return found
    raise ValueError(f"the schema does not know {name}")


def _parts(root: Schema, schema: Schema) -> Iterator[Schema]:
    """Yield the parts of a schema: the referenced ones first, then the schema itself."""
    for part in [schema, *schema.get("allOf", [])]:
        if "$ref" in part:
            yield from _parts(root, root["$defs"][part["$ref"].rpartition("/")[2]])
    yield schema


def _forget_descriptions(schemas: Mapping[str, Schema]) -> None:
    for schema in schemas.values():
        schema.pop("description", None)
        _forget_descriptions(schema.get("properties", {}))


def main() -> None:
    """Write both files of every chart."""
    for chart in CHARTS:
        readme, schema, values = readme_of(chart), schema_of(chart), chart / "values.yaml"
        try:
            found = values_of(values.read_text(encoding="utf-8"))
            described = described_schema(json.loads(schema.read_text(encoding="utf-8")), found)
        except ValueError as error:
            sys.exit(f"{values}: {error}")
        schema.write_text(
            json.dumps(described, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        readme.write_text(
            described_readme(readme.read_text(encoding="utf-8"), found), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
