"""Writes the catalogue's entry of a WorkflowTemplate: `python -m sluice_workflows.importer`."""

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from sluice_workflows.catalogue_file import read_catalogue
from sluice_workflows.errors import CatalogueError
from sluice_workflows.template_import import ImportedTemplate, NotImportableError, import_template

__all__ = ["main", "read_manifests"]

_DESCRIPTION: Final = """\
Write the entries of a catalogue file for the WorkflowTemplates, ClusterWorkflowTemplates and
Workflows in FILE (YAML or JSON; `-` is standard input; several documents and Lists are fine).

An entry takes over, from the manifest:
  name          metadata.name, as a name for clients
  description   the annotations workflows.argoproj.io/title and .../description
  parameters    spec.arguments.parameters: `enum` becomes an enum, `value` or `default` the
                default; one without either is required, and lines in a default allow lines
  graph         the steps that a run will have

What cannot be declared stays as the template has it; standard error says what, and why.
Read the entry before you use it: the importer knows no types but string and enum, so restrict
parameters further (integer, boolean, pattern, max_bytes). Import again when a template changes.
"""
_EXAMPLES: Final = """\
examples:
  kubectl get workflowtemplate nightly-report -o yaml | python -m sluice_workflows.importer -
  python -m sluice_workflows.importer templates.yaml >catalogue.yaml
  python -m sluice_workflows.importer hello-world.yaml --name hello-argo --templates made.yaml

Exit status: 0 if there is an entry for each manifest, 1 if one is missing, 2 for a wrong call.
"""
_INT_OR_FLOAT: Final = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"


class _ManifestLoader(yaml.SafeLoader):
    """Reads scalars as kubectl does: `2026-12-01` and `12:30` are text, and not a date or 750."""


_ManifestLoader.yaml_implicit_resolvers = {
    first: [
        (tag, re.compile(rf"(?!.*:)(?:{pattern.pattern})", re.VERBOSE))
        if tag in _INT_OR_FLOAT
        else (tag, pattern)
        for tag, pattern in resolvers
        if tag != _TIMESTAMP
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _EntryDumper(yaml.SafeDumper):
    """Writes lines as blocks."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_EntryDumper.add_representer(str, _text)


def read_manifests(content: bytes) -> list[dict[str, Any]]:
    """Return the manifests of a file of YAML or JSON, with those in Lists.

    Raises:
        NotImportableError: it is not YAML, or a document is not an object.
    """
    try:
        documents = list(yaml.load_all(content, Loader=_ManifestLoader))
    except yaml.YAMLError as e:
        raise NotImportableError(f"is neither YAML nor JSON: {e}") from e
    return list(_unpacked(documents))


def _unpacked(documents: list[Any]) -> Iterator[dict[str, Any]]:
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, dict):
            raise NotImportableError("has a document that is not an object")
        if str(document.get("kind")).endswith("List") and isinstance(document.get("items"), list):
            yield from _unpacked(document["items"])
        else:
            yield document


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = _parser().parse_args(arguments)
    source = "standard input" if options.file == "-" else options.file
    try:
        content = (
            sys.stdin.buffer.read() if options.file == "-" else Path(options.file).read_bytes()
        )
        manifests = read_manifests(content)
    except OSError as e:
        return _failed(f"{source}: cannot be read: {e.strerror}")
    except NotImportableError as e:
        return _failed(f"{source}: {e}")
    if options.name is not None and len(manifests) != 1:
        return _failed(f"{source}: --name needs one manifest, and there are {len(manifests)}")
    imported: list[ImportedTemplate] = []
    for manifest in manifests:
        place = f"{source}: {manifest.get('kind', 'document')} {_name_of(manifest)}"
        try:
            one = import_template(manifest, name=options.name)
            read_catalogue(_written([one]).encode(), source=place)
        except (NotImportableError, CatalogueError) as e:
            _failed(str(e) if isinstance(e, CatalogueError) else f"{place}: {e}")
            continue
        imported.append(one)
        for warning in one.warnings:
            print(f"{place}: {warning}", file=sys.stderr)  # noqa: T201 a command
    if imported:
        sys.stdout.write(_written(imported))
    if options.templates is not None:
        templates = [one.template for one in imported if one.template is not None]
        text = yaml.dump_all(templates, Dumper=_EntryDumper, sort_keys=False, allow_unicode=True)
        Path(options.templates).write_text(text, encoding="utf-8")
    return 0 if manifests and len(imported) == len(manifests) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sluice_workflows.importer",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", help="the manifests; `-` is standard input")
    parser.add_argument("--name", help="the name for clients, if FILE has one manifest")
    parser.add_argument(
        "--templates",
        metavar="FILE",
        help="write here the WorkflowTemplates that Workflows have to become, for kubectl apply",
    )
    return parser


def _written(imported: list[ImportedTemplate]) -> str:
    text: str = yaml.dump(
        {"entries": [one.entry for one in imported]},
        Dumper=_EntryDumper,
        sort_keys=False,
        allow_unicode=True,
        width=100,
    )
    return text


def _name_of(manifest: dict[str, Any]) -> str:
    metadata = manifest.get("metadata")
    named = metadata if isinstance(metadata, dict) else {}
    return f"`{named.get('name') or named.get('generateName') or ''}`"


def _failed(message: str) -> int:
    print(message, file=sys.stderr)  # noqa: T201 a command talks to its user
    return 1


if __name__ == "__main__":
    sys.exit(main())
