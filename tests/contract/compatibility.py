"""Finds what a client of the last release would miss, by oasdiff.

oasdiff compares OpenAPI documents. So the messages of an AsyncAPI document are written as bodies:
what Sluice reads as that of a request, what it publishes as that of an answer.
"""

import json
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

__all__ = ["breaking_changes", "messages_as_bodies"]

Document = dict[str, Any]

_OF_A_PREVIEW: Final = (
    "response-body-any-of-added",
    "response-body-type-changed",
    "response-header-became-optional",
    "response-required-property-removed",
)


# Of `Last-Event-ID`: places of topic sets with a name, and all that were taken before.
_WIDER: Final = (
    "from `^([0-9]{1,10}:[0-9]{1,18})?$` to `^((?:[a-z0-9-]{1,63}/)?[0-9]{1,10}:[0-9]{1,18})?$`"
)


def breaking_changes(oasdiff: Path, old: Document, new: Document, *, scratch: Path) -> str | None:
    """Return what oasdiff says of the changes that break a client of `old`; None if none does."""
    files = scratch / "old.json", scratch / "new.json"
    for file, document in zip(files, (old, new), strict=True):
        file.write_text(json.dumps(document), "utf-8")
    command = [str(oasdiff), "breaking", "--fail-on=WARN", "--format=json", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise AssertionError(f"oasdiff failed: {done.stdout}{done.stderr}")
    changes = json.loads(done.stdout) if done.returncode else []
    found = [
        f"{each['operation']} {each['path']}: {each['text']} [{each['id']}]"
        for each in changes
        if not _is_announced(each)
    ]
    return "\n".join(found) or None


def _is_announced(change: Document) -> bool:
    """Return whether docs/api.md says that a client has to be ready for it.

    `/v1` gets new types of problems. Its operator decides whether clients identify themselves. And
    only a client that sends `validate_only`, which is new, gets another document from POST /v1/runs
    with status 200; GET shows the other one unchanged.
    """
    if change["id"] == "api-security-anonymous-access-removed":
        return True
    if change["id"] == "request-parameter-pattern-changed":
        # Which of two patterns takes more is beyond oasdiff.
        return "`last-event-id`" in change["text"] and change["text"].endswith(_WIDER)
    if change["id"] == "response-property-enum-value-added":
        return "`urn:sluice:problem:" in change["text"]
    preview = (change["operation"], change["path"]) == ("POST", "/v1/runs")
    return preview and change["id"] in _OF_A_PREVIEW and "`200`" in change["text"]


def messages_as_bodies(asyncapi: Document) -> Document:
    """Return an OpenAPI document with a path for each message of each topic."""
    paths: dict[str, Document] = defaultdict(dict)
    for operation in asyncapi["operations"].values():
        channel = asyncapi["channels"][operation["channel"]["$ref"].rpartition("/")[2]]
        for name in channel["messages"]:
            message = asyncapi["components"]["messages"][name]
            schema = {
                "type": "object",
                "required": ["headers", "payload"],
                "properties": {part: message[part] for part in ("headers", "payload")},
            }
            content = {"content": {"application/json": {"schema": schema}}}
            path = paths[f"/{channel['address']}/{name}"]
            if operation["action"] == "receive":
                path["post"] = {
                    "requestBody": content,
                    "responses": {"204": {"description": "Written."}},
                }
            else:
                path["get"] = {"responses": {"200": {"description": "Read.", **content}}}
    return {
        "openapi": "3.1.1",
        "info": asyncapi["info"],
        "paths": dict(paths),
        "components": {"schemas": asyncapi["components"]["schemas"]},
    }
