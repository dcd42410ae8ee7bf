"""docs/api.md lists each problem that an operation may answer with, and no other.

Its table of operations is written from the code; test_schemas_are_fresh compares it.
"""

from sluice_gateway.handlers.openapi import problems_by_status
from sluice_gateway.handlers.table import OPERATIONS
from tests.unit.docs.pages import ROOT, code_spans, rows, section

API = ROOT / "docs/api.md"

# Of paths and methods that are not operations, as the router refuses them.
ROUTER = {(404, "not-found"), (405, "method-not-allowed")}


def test_the_page_has_every_problem_with_its_status() -> None:
    declared = {
        (status, kind.removeprefix("urn:sluice:problem:"))
        for operation in OPERATIONS
        for status, kinds in problems_by_status(operation).items()
        for kind in kinds
    }
    listed = {
        (int(row[0]), kind) for row in rows(section(API, "Problems")) for kind in code_spans(row[1])
    }

    assert listed == declared | ROUTER
