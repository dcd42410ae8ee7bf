"""A client of the last release can go on with this one: docs/schemas/released has its documents."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openapi_spec_validator
import pytest

from scripts.api_documents import documents
from tests.contract.compatibility import breaking_changes, messages_as_bodies
from tests.support.stock import built_program

DOCS = Path(__file__).parents[2] / "docs"
RELEASED = DOCS / "schemas" / "released"

Document = dict[str, Any]


def released(name: str) -> Document:
    """Give a document of the last release."""
    document: Document = json.loads((RELEASED / name).read_text("utf-8"))
    return document


def current(name: str) -> Document:
    """Give a document of this tree."""
    document: Document = json.loads(documents(DOCS)[name])
    return document


def test_messages_as_bodies_are_a_valid_document() -> None:
    openapi_spec_validator.validate(messages_as_bodies(current("asyncapi.json")))


@pytest.mark.charts
class TestByOasdiff:
    def test_nothing_breaks_http_clients(self, tmp_path: Path) -> None:
        old, new = released("openapi.json"), current("openapi.json")

        assert breaking_changes(built_program("oasdiff"), old, new, scratch=tmp_path) is None

    def test_nothing_breaks_kafka_clients(self, tmp_path: Path) -> None:
        old, new = (messages_as_bodies(of("asyncapi.json")) for of in (released, current))

        assert breaking_changes(built_program("oasdiff"), old, new, scratch=tmp_path) is None

    @pytest.mark.parametrize(
        ("name", "change"),
        [
            ("openapi.json", lambda d: d["paths"].pop("/v1/workflows")),
            ("openapi.json", lambda d: schema(d, "RunDocument")["properties"].pop("phase")),
            ("openapi.json", lambda d: schema(d, "RunRequest")["properties"].pop("tenant")),
            ("openapi.json", lambda d: schema(d, "RunRequest")["required"].append("id")),
            (
                "asyncapi.json",
                lambda d: d["channels"].pop("results") and d["operations"].pop("publish-results"),
            ),
            ("asyncapi.json", lambda d: schema(d, "StatusEvent")["properties"].pop("sequence")),
            ("asyncapi.json", lambda d: schema(d, "RunRequest")["required"].append("tenant")),
            (
                "asyncapi.json",
                lambda d: d["components"]["messages"]["statusEvent"]["headers"]["properties"].pop(
                    "ce_sequence"
                ),
            ),
        ],
    )
    def test_a_change_that_breaks_one_is_found(
        self, name: str, change: Callable[[Document], object], tmp_path: Path
    ) -> None:
        new = copy.deepcopy(old := current(name))
        change(new)
        if name == "asyncapi.json":
            old, new = messages_as_bodies(old), messages_as_bodies(new)

        assert breaking_changes(built_program("oasdiff"), old, new, scratch=tmp_path)


def schema(document: Document, name: str) -> Document:
    """Give a schema of a document."""
    found: Document = document["components"]["schemas"][name]
    return found
