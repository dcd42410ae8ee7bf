"""Fingerprints of a request's content."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from sluice_contracts import strict_json

__all__ = [
    "RunContent",
    "document_fingerprint",
    "fingerprint",
    "run_content",
    "value_fingerprint",
]


@dataclass(frozen=True, kw_only=True)
class RunContent:
    """The content of a request: `parameters` as canonical JSON, and the fingerprint."""

    parameters: bytes
    fingerprint: str


def run_content(workflow: str, parameters: Mapping[str, JsonValue]) -> RunContent:
    """Return a request's content; parameters are encoded once, for record and fingerprint."""
    written = strict_json.canonical(dict(parameters))
    content = b'{"parameters":%b,"workflow":%b}' % (written, strict_json.canonical(workflow))
    return RunContent(parameters=written, fingerprint=hashlib.sha256(content).hexdigest())


def fingerprint(workflow: str, parameters: Mapping[str, JsonValue]) -> str:
    """Return the sha256, in hex, of the canonical JSON of workflow and parameters.

    `parameters` are those that the client sent, without defaults. A new default in the catalogue
    must not make a repeated request look like a different one.
    """
    return run_content(workflow, parameters).fingerprint


def document_fingerprint(document: JsonValue) -> str | None:
    """Return the fingerprint of what an invalid request asks for, None if that is unreadable."""
    members = document if isinstance(document, dict) else {}
    workflow, parameters = members.get("workflow"), members.get("parameters", {})
    if isinstance(workflow, str) and isinstance(parameters, dict):
        return fingerprint(workflow, parameters)
    return None


def value_fingerprint(value: bytes) -> str:
    """Return the fingerprint of a value whose content is unreadable."""
    return hashlib.sha256(value).hexdigest()
