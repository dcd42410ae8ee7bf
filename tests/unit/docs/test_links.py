"""Links of the pages resolve, and the index and the decisions are complete."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.unit.docs.pages import PAGES, ROOT, anchors, links, rows, shown

ADR = ROOT / "docs/adr"
DECISIONS = sorted(ADR.glob("[0-9]*.md"))
INDEX = ROOT / "docs/README.md"


def resolved(page: Path, target: str) -> tuple[Path, str]:
    path, _, anchor = unquote(target).partition("#")
    return (page.parent / path).resolve() if path else page, anchor


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_links_of_a_page_resolve(page: Path) -> None:
    for target in links(page.read_text("utf-8")):
        if re.match(r"https?://", target):
            continue
        file, anchor = resolved(page, target)
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file.read_text("utf-8")), target


def test_the_index_leads_to_every_page() -> None:
    reached = {resolved(INDEX, target)[0] for target in links(INDEX.read_text("utf-8"))}
    elsewhere = {*DECISIONS, INDEX, *(ROOT / "tests").rglob("*.md"), *ROOT.glob("examples/texts/*")}
    assert [shown(page) for page in PAGES if page not in reached | elsewhere] == []


def test_the_list_of_decisions_agrees_with_their_pages() -> None:
    listed = rows((ADR / "README.md").read_text("utf-8"))
    assert len(listed) == len(DECISIONS) > 30
    for page, (number, title, status, date) in zip(DECISIONS, listed, strict=True):
        text = page.read_text("utf-8")
        assert number == f"[{int(page.name[:4])}]({page.name})"
        assert text.startswith(f"# {int(page.name[:4])}. {title}\n"), page.name
        assert f"\n- Status: {status}\n- Date: {date}\n" in text, page.name


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.name)
def test_a_decision_has_the_sections_of_all(page: Path) -> None:
    text = page.read_text("utf-8")
    headings = ["Context", "Decision", "Given up", "Where in the code"]
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == headings
    assert re.search(r"^- Status: (accepted|superseded by \d+)$", text, re.MULTILINE)


def test_sections_of_the_changelog_are_dates_newest_first() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    first, *dates = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert first == "Unreleased"
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", date) for date in dates)
    assert dates == sorted(set(dates), reverse=True)
