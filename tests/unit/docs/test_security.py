"""docs/security.md names a test for each threat, and every test that it names exists."""

import re

from tests.unit.docs.pages import ROOT

PAGE = ROOT / "docs" / "security.md"
_TEST = re.compile(r"^(?:    )?(?:async )?def (test_\w+)|^class (Test\w+)", re.MULTILINE)


def known_tests() -> set[str]:
    """Return the names of all tests, and of the classes that they are in."""
    texts = (
        file.read_text("utf-8")
        for folder in ("unit", "behaviour", "contract", "charts", "cluster", "integration")
        for file in (ROOT / "tests" / folder).rglob("*.py")
    )
    return {name for text in texts for names in _TEST.findall(text) for name in names if name}


def test_every_threat_names_tests_that_exist() -> None:
    known = known_tests()
    threats = 0
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 3 or cells[0] in ("threat", "---"):
            continue
        named = re.findall(r"`([Tt]est_?\w+)`", cells[2])
        assert named, line
        assert set(named) <= known, set(named) - known
        threats += 1
    assert threats >= 20
