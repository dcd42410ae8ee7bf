"""The alerts of the charts, and the page with a runbook for each."""

import re
from functools import cache

import yaml

from tests.unit.docs.pages import ROOT

__all__ = ["PARTS", "RUNBOOKS", "alerts", "runbooks"]

RUNBOOKS = ROOT / "docs/runbooks.md"
PARTS = ("Means", "Users notice", "Look", "Do", "Escalate")


@cache
def alerts() -> dict[str, str]:
    """Return the expressions of all alerts, by their names."""
    places = ("sluice/files/alerts", "sluice/files/log-relay-alerts", "kafka/files/alerts")
    files = [ROOT / f"helm/{place}.yaml" for place in places]
    groups = [
        group for file in files for group in yaml.safe_load(file.read_text("utf-8"))["groups"]
    ]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


def runbooks() -> dict[str, str]:
    """Return the sections of the third level, by their headings."""
    text = re.sub(r"^## .*$", "", RUNBOOKS.read_text("utf-8"), flags=re.MULTILINE)
    _, *sections = text.split("\n### ")
    return dict(section.split("\n", 1) for section in sections)
