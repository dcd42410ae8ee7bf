"""Fingerprints of a request's content."""

import hashlib
from collections.abc import Mapping

from pydantic import JsonValue

from sluice_contracts import strict_json

__all__ = ["fingerprint"]


def fingerprint(workflow: str, parameters: Mapping[str, JsonValue]) -> str:
    """Return the sha256, in hex, of the canonical JSON of workflow and parameters.

    `parameters` are those that the client sent, without defaults. A new default in the catalogue
    must not make a repeated request look like a different one.
    """
    content: JsonValue = {"workflow": workflow, "parameters": dict(parameters)}
    return hashlib.sha256(strict_json.canonical(content)).hexdigest()
