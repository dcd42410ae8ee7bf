#!/usr/bin/env python3
"""Write what docs/ says of both APIs from the code: `make schemas`.

These are docs/openapi.json, docs/asyncapi.json, and the table of operations in docs/api.md. A test
compares them with the code.

Usage: api_documents.py FOLDER
"""

import sys
from pathlib import Path
from typing import Final

from sluice_contracts.asyncapi import asyncapi
from sluice_contracts.audit import AUDIT_TOPIC
from sluice_contracts.schemas import as_text
from sluice_contracts.topics import TopicNames
from sluice_gateway.handlers.openapi import openapi, problems_by_status
from sluice_gateway.handlers.operations import Operation
from sluice_gateway.handlers.table import OPERATIONS

_BEGIN: Final = "Any operation may also answer "
_END: Final = "\n<!-- end of operations -->"


def documents(folder: Path) -> dict[str, str]:
    """Return the text of each file by its name; of api.md, what is not written here stays."""
    page = (folder / "api.md").read_text("utf-8")
    before, _, rest = page.partition(_BEGIN)
    return {
        "openapi.json": as_text(openapi(OPERATIONS)),
        "asyncapi.json": as_text(
            asyncapi(TopicNames(), controls="sluice.controls", audit=AUDIT_TOPIC)
        ),
        "api.md": before + _operations() + _END + rest.partition(_END)[2],
    }


def _operations() -> str:
    common = set.intersection(*(set(problems_by_status(each)) for each in OPERATIONS))
    statuses = _listed(sorted(common))
    lines = [
        f"{_BEGIN}{statuses}.",
        "",
        "<!-- operations: `make schemas` writes them -->",
        "| operation | does | answers |",
        "| --- | --- | --- |",
        *(_row(each, common) for each in OPERATIONS),
    ]
    return "\n".join(lines)


def _row(operation: Operation, common: set[int]) -> str:
    statuses = {int(each.status) for each in operation.answers}
    statuses |= set(problems_by_status(operation)) - common
    call = f"`{operation.method} {operation.path}`"
    return f"| {call} | {operation.summary.removesuffix('.')} | {_listed(sorted(statuses))} |"


def _listed(statuses: list[int]) -> str:
    return ", ".join(f"`{status}`" for status in statuses)


def main(folder: Path) -> None:
    """Write the files into the folder."""
    for name, text in documents(folder).items():
        (folder / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"wrote {folder / name}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
