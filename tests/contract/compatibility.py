"""Finds what a client of the last release would miss, by oasdiff.

oasdiff compares OpenAPI documents. So the messages of an AsyncAPI document are written as bodies:
what Sluice reads as that of a request, what it publishes as that of an answer.
"""

import json
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

__all__ = ["breaking_changes", "messages_as_bodies"]

Document = dict[str, Any]


def breaking_changes(oasdiff: Path, old: Document, new: Document, *, scratch: Path) -> str | None:
    """Return what oasdiff says of the changes that break a client of `old`; None if none does."""
    files = scratch / "old.json", scratch / "new.json"
    for file, document in zip(files, (old, new), strict=True):
        file.write_text(json.dumps(document), "utf-8")
    command = [str(oasdiff), "breaking", "--fail-on=WARN", "--color=never", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise AssertionError(f"oasdiff failed: {done.stdout}{done.stderr}")
    return done.stdout if done.returncode else None


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
