"""What tells one request's content from another's."""

import hashlib
from collections.abc import Mapping

from pydantic import JsonValue

from sluice_contracts import strict_json

__all__ = ["fingerprint"]


def fingerprint(workflow: str, parameters: Mapping[str, JsonValue]) -> str:
    """Give the sha256, in hex, of the canonical JSON of workflow and parameters.

    Taken over what the client wrote, defaults not filled in: a new default in the catalogue must
    not turn a repeated request into another one.
    """
    content: JsonValue = {"workflow": workflow, "parameters": dict(parameters)}
    return hashlib.sha256(strict_json.canonical(content)).hexdigest()
