"""docs/cli.md is about the command that there is."""

import re
from pathlib import Path

from scripts.cli_reference import page
from sluice_cli.domain.exit_codes import ExitCode
from sluice_cli.domain.profiles import KafkaSecurity, Profile

PAGE = Path(__file__).parents[3] / "docs/cli.md"
TEXT = PAGE.read_text("utf-8")


def test_the_reference_is_fresh() -> None:
    assert page(TEXT) == TEXT, "run `make schemas`"


def test_the_exit_codes_are_all_there() -> None:
    table = TEXT.partition("## Exit codes")[2].partition("\n## ")[0]
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)] == [*ExitCode]


def test_the_members_of_a_profile_are_all_there() -> None:
    section = TEXT.partition("## Profiles")[2].partition("\n## ")[0]
    for kind in (Profile, KafkaSecurity):
        for name in kind.__dataclass_fields__:
            assert name in section
