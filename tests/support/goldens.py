"""Golden files: expected output, byte for byte; `--update-goldens` rewrites them."""

from collections.abc import Callable
from pathlib import Path

import pytest

DATA = Path(__file__).parent.parent / "data"

Golden = Callable[[str, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens",
        action="store_true",
        help="rewrite the golden files with the current output",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare a text with the golden file of that path under tests/data."""

    def compare(path: str, actual: str) -> None:
        file = DATA / path
        if request.config.getoption("--update-goldens"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(actual, encoding="utf-8")
        assert file.is_file(), f"{path} is missing; run pytest --update-goldens"
        assert actual == file.read_text(encoding="utf-8")

    return compare
