"""Arguments and files that cannot be used: they are refused before anything is sent."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sluice_cli.app import app
from tests.unit.cli.person import Person

# As Python reads the byte 0xff of an argument (PEP 383).
NO_TEXT = "caf\udcff"


def types(*words: str) -> Result:
    """Type a command to a gateway that nobody must reach."""
    return CliRunner().invoke(app, [*words, "--url", "http://localhost:1"])


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (["run", NO_TEXT], "WORKFLOW"),
        (["run", "hello", "-p", "a=b", "-p", f"name={NO_TEXT}"], "--parameter 2"),
        (["run", "hello", "--id", NO_TEXT], "--id"),
        (["run", "hello", "--tenant", NO_TEXT], "--tenant"),
        (["stop", "order-1", NO_TEXT], "RUN 2"),
        (["list", "-q", NO_TEXT], "--text"),
        (["dlq", "show", NO_TEXT], "LETTER"),
        (["keys", "new", "--principal", NO_TEXT], "--principal"),
    ],
)
def test_what_is_not_utf_8_is_refused_with_its_place(
    person: Person, words: list[str], place: str
) -> None:
    result = person.types(*words)
    at = 9 if "parameter" in place else 4
    assert result.exit_code == 2, result.output
    assert result.stderr == f"{place}: not UTF-8 at character {at}.\n"
    assert person.sluice.requests == []


def test_the_file_of_a_token_that_is_missing_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "no-such-token"
    result = types("list", "--token-file", str(missing))
    assert result.exit_code == 2
    said = f"The token cannot be read from {missing}: No such file or directory.\n"
    assert result.stderr == said
    # A check says so as well, and what to do.
    found = types("doctor", "--no-canary", "--token-file", str(missing))
    assert found.exit_code == 1
    assert "-> Check the token" in found.stdout
    assert "Start the gateway" not in found.stdout


def test_the_file_of_a_token_may_have_any_name(tmp_path: Path) -> None:
    missing = str(tmp_path / NO_TEXT)
    result = types("list", "--token-file", missing)
    assert result.exit_code == 2
    assert "No such file or directory" in result.stderr
