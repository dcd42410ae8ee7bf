"""A person whose Sluice has some workflows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sluice_client.fake import FakeSluice
from tests.unit.cli.person import Person


def greet(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"greeting": f"Hello, {parameters['name']}!"}


@pytest.fixture
def person(tmp_path: Path) -> Person:
    """`hello` ends at once, and fails without a name; `approval` is held for the test."""
    return Person(FakeSluice({"hello": greet, "approval": None}), home=tmp_path)
