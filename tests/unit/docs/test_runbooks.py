"""Each alert has a runbook, and what the runbooks name exists."""

import re

import pytest

from tests.unit.docs.pages import anchors
from tests.unit.docs.runbooks import PARTS, RUNBOOKS, alerts, runbooks
from tests.unit.docs.test_names import messages


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    assert list(runbooks()) == list(alerts())


@pytest.mark.parametrize("alert", alerts())
def test_its_address_is_the_name_in_lower_case(alert: str) -> None:
    assert alert.lower() in anchors(RUNBOOKS.read_text("utf-8"))


@pytest.mark.parametrize("alert", alerts())
def test_a_runbook_has_all_parts(alert: str) -> None:
    assert tuple(re.findall(r"^\*\*([^*]+):\*\*", runbooks()[alert], re.MULTILINE)) == PARTS


def test_metrics_of_others_are_those_of_the_alerts() -> None:
    """Tests of the charts check these; test_names checks our own."""
    pattern = r"\b(?:kafka|kubelet)_[a-z_]+\b"
    known = set(re.findall(pattern, "\n".join(alerts().values())))
    named = set(re.findall(pattern, RUNBOOKS.read_text("utf-8")))
    assert named
    assert named <= known


def test_messages_that_are_looked_for_are_those_of_the_code() -> None:
    text = RUNBOOKS.read_text("utf-8")
    patterns = re.findall(r"^logs .*\| grep (?:-E )?'([^']+)'", text, re.MULTILINE)
    quoted = {part for pattern in patterns for part in pattern.split("|")}
    quoted |= set(
        re.findall(r'"([a-zA-Z][^"]{8,})"', re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    )
    assert len(quoted) > 8
    for quote in quoted:
        assert quote in messages(), quote
