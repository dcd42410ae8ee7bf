"""The Markdown pages of the repository, and what they name."""

import re
import subprocess
from pathlib import Path

__all__ = ["PAGES", "ROOT", "anchors", "code_spans", "links", "rows", "section", "shown"]

ROOT = Path(__file__).parents[3]

_FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)


def _pages() -> list[Path]:
    # Not the copies of helm/ that promotions make.
    ours = ("*.md", ":!argocd/environments/*/charts/*")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *ours],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted(ROOT / name for name in set(listed.stdout.split("\0")) - {""})


PAGES = [page for page in _pages() if page.is_file()]


def shown(page: Path) -> str:
    """Return the page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


def links(text: str) -> list[str]:
    """Return the targets of links and images outside code."""
    prose = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", text))
    return re.findall(r"\]\(([^)\s]+)\)", prose)


def code_spans(text: str) -> list[str]:
    """Return what stands between single backticks outside code blocks."""
    return re.findall(r"`([^`\n]+)`", _FENCE.sub("", text))


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ +(.*)$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def section(page: Path, heading: str) -> str:
    """Return what stands below a heading of the second level."""
    _, found, after = page.read_text("utf-8").partition(f"\n## {heading}\n")
    assert found, f"{shown(page)} has no section {heading}"
    return after.partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of all tables of a text, without their headings."""
    lines = re.findall(r"^\|(.*)\|$", text, re.MULTILINE)
    table = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines]
    rules = [index for index, cells in enumerate(table) if set("".join(cells)) <= set("-: ")]
    return [
        cells for index, cells in enumerate(table) if index not in rules and index + 1 not in rules
    ]
