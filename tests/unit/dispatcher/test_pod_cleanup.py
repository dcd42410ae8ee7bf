"""How long Argo may take to delete the pods of an attempt, as its controller decides."""

from datetime import timedelta
from typing import Any

import pytest

from sluice_dispatcher.domain.pod_cleanup import deletion_delay


def delay(pod_gc: dict[str, Any] | None, *phases: str, ended: str = "Failed") -> float:
    """Return the seconds for pods in these phases; 10 are for the controller's own lag."""
    workflow = {"spec": {} if pod_gc is None else {"podGC": pod_gc}, "status": {"phase": ended}}
    return deletion_delay(workflow, [{"phase": phase} for phase in phases]).total_seconds()


@pytest.mark.parametrize(
    ("strategy", "phases", "ended", "deleted"),
    [
        (None, ["Succeeded"], "Succeeded", False),
        ("", ["Succeeded"], "Succeeded", False),
        ("OnPodSuccess", ["Failed", "Error"], "Failed", False),
        ("OnPodSuccess", ["Failed", "Succeeded"], "Failed", True),
        ("OnPodCompletion", ["Failed"], "Failed", True),
        ("OnPodCompletion", [], "Failed", False),
        ("OnWorkflowCompletion", ["Failed"], "Failed", True),
        ("OnWorkflowSuccess", ["Succeeded"], "Failed", False),
        ("OnWorkflowSuccess", ["Succeeded"], "Succeeded", True),
    ],
)
def test_the_strategy_says_whose_pods_are_deleted(
    strategy: str | None, phases: list[str], ended: str, *, deleted: bool
) -> None:
    pod_gc = {"strategy": strategy, "deleteDelayDuration": "30s"}
    assert delay(pod_gc, *phases, ended=ended) == (40 if deleted else 0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, 5),
        ("", 5),
        ("30s", 30),
        ("1500ms", 1.5),
        ("0.5m", 30),
        ("1m", 60),
        ("7", 7),
        ("0", 0),
        ("1h2m3s", 60),
        ("99999999999999999999", 60),
        ("99999999999999999999h", 60),
        ("soon", 5),
        ("30 s", 5),
        ("-3s", 5),
        ("5\u0663", 5),
    ],
)
def test_the_delay_is_read_as_argo_reads_it_and_is_a_minute_at_most(
    text: str | None, seconds: float
) -> None:
    pod_gc = {"strategy": "OnPodCompletion", "deleteDelayDuration": text}
    assert delay(pod_gc, "Failed") == seconds + 10


def test_what_argo_has_merged_with_the_template_counts() -> None:
    stored = {"podGC": {"strategy": "OnPodCompletion", "deleteDelayDuration": "20s"}}
    workflow = {
        "spec": {"workflowTemplateRef": {"name": "t"}},
        "status": {"phase": "Failed", "storedWorkflowTemplateSpec": stored},
    }
    assert deletion_delay(workflow, [{"phase": "Failed"}]) == timedelta(seconds=30)
    assert delay(None, "Failed") == 0
