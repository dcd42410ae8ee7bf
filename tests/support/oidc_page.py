"""The settings, grants, workflows and commands of docs/oidc.md, as its reader would copy them."""

import re
from pathlib import Path
from typing import Any, Final

import yaml

__all__ = ["PAGE", "blocks", "commands", "documents", "section"]

PAGE: Final = Path(__file__).parents[2] / "docs" / "oidc.md"


def section(heading: str) -> str:
    """Give what stands below a heading of the second level."""
    _, found, after = PAGE.read_text("utf-8").partition(f"\n## {heading}\n")
    assert found, f"docs/oidc.md has no section {heading}"
    return after.partition("\n## ")[0]


def blocks(heading: str, kind: str) -> list[str]:
    """Give the blocks of a language in a section."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", section(heading), re.MULTILINE | re.DOTALL)


def commands(heading: str) -> list[str]:
    """Give the commands of a section."""
    return blocks(heading, "sh")


def documents(heading: str) -> dict[str, Any]:
    """Give the YAML documents of a section, by their first key."""
    return {next(iter(each)): each for each in map(yaml.safe_load, blocks(heading, "yaml"))}
