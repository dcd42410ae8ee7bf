#!/usr/bin/env python3
"""Write docs/openapi.json and docs/asyncapi.json; `make schemas` calls it.

Usage: api_documents.py FOLDER
"""

import sys
from pathlib import Path

from sluice_contracts.asyncapi import asyncapi
from sluice_contracts.schemas import as_text
from sluice_contracts.topics import TopicNames
from sluice_gateway.handlers.openapi import openapi
from sluice_gateway.handlers.table import OPERATIONS


def documents() -> dict[str, str]:
    """Return the text of each document by file name."""
    return {
        "openapi.json": as_text(openapi(OPERATIONS)),
        "asyncapi.json": as_text(asyncapi(TopicNames())),
    }


def main(folder: Path) -> None:
    """Write the documents into the folder."""
    for name, text in documents().items():
        (folder / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"wrote {folder / name}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
