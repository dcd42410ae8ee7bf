"""A fresh clone names nothing that somebody else owns, and is refused until it is one's own."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice_infra.placeholders import refuse_placeholders
from sluice_infra.settings import SettingsError, read_settings
from tests.pulumi.declared import REPOSITORY, STACKS, changed, choices_of, ours, with_ours

ROOT = "https://example.invalid/your/fork-of-sluice.git"
ADMINS = ["arn:aws:iam::123456789012:role/admin"]
PLACEHOLDERS: dict[str, dict[str, Any]] = {
    "dev": {"cluster.publicCidrs": ["203.0.113.0/24"]},
    "staging": {"cluster.publicCidrs": ["203.0.113.0/24"], "cluster.admins": ADMINS},
    "prod": {"dns.domain": "sluice.example.com", "cluster.admins": ADMINS},
    "learnerlab": {"iam.existingRoleArn": "arn:aws:iam::123456789012:role/LabRole"},
}
"""Of a fresh clone, by stack. A fork has replaced them, and runs these tests, too."""


def _refused(choices: dict[str, Any], *, repository: str = REPOSITORY) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        refuse_placeholders(read_settings(choices), repository=repository)
    first, *found = str(raised.value).splitlines()
    assert "docs/deploy.md" in first
    return [line.strip() for line in found]


def _lines(stack: str) -> list[str]:
    found = [
        f"{key}: {value[0] if isinstance(value, list) else value}"
        for key, value in PLACEHOLDERS[stack].items()
    ]
    return [f"sluice:{each} is a placeholder" for each in found]


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_is_refused_with_each_placeholder(stack: str) -> None:
    fresh = changed(ours(stack), PLACEHOLDERS[stack])
    expected = [f"sluice:argocd.repository: {ROOT} is a placeholder", *_lines(stack)]
    assert _refused(fresh, repository=ROOT) == expected


@pytest.mark.parametrize("stack", STACKS)
def test_a_fresh_clone_names_nothing_that_somebody_owns(stack: str) -> None:
    """Who registers a name that a default has would own the clusters of forgetful people."""
    root = yaml.safe_load(Path("argocd/root.yaml").read_text("utf-8"))
    repository = root["spec"]["source"]["repoURL"]
    if "example." not in repository:
        return  # A fork, which replaces placeholders stack by stack.
    assert repository == ROOT
    expected = [f"sluice:argocd.root: {ROOT} is a placeholder", *_lines(stack)]
    assert _refused(choices_of(stack), repository=ROOT) == expected


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_with_values_of_one_s_own_is_accepted(stack: str) -> None:
    refuse_placeholders(read_settings(ours(stack)), repository=REPOSITORY)


def test_golden_files_have_nothing_of_a_fork_s_own() -> None:
    """Its CI compares with ours, from its first push on: docs/deploy.md says what it chooses."""
    own = {
        "owner": "we",
        "cluster.publicCidrs": ["198.18.0.1/32"],
        "github": {"repository": "octo/sluice"},
        "budget": {"monthlyDollars": 600, "emails": ["ops@sluice.test"]},
        "repositoryPassword": {"secure": "v1:"},
    }
    dev = changed(ours("dev"), own) | {"aws:region": "eu-west-3"}
    assert with_ours(dev, stack="dev") == ours("dev")
    own = {
        "dns": {"domain": "runs.sluice.test", "delegated": True},
        "cluster.admins": ["arn:aws:iam::210987654321:role/we"],
        "cluster.publicCidrs": ["198.18.0.1/32"],
        "cluster.publicUntil": "2026-12-03",
    }
    assert with_ours(changed(ours("prod"), own), stack="prod") == ours("prod")


@pytest.mark.parametrize(
    "repository",
    ["https://example.com/sluice.git", "git@example.invalid:you/sluice.git", ROOT],
)
def test_a_repository_that_is_an_example_is_refused(repository: str) -> None:
    choices = changed(ours("dev"), {"argocd.repository": repository})
    [line] = _refused(choices, repository=repository)
    assert line == f"sluice:argocd.repository: {repository} is a placeholder"


def test_nothing_is_declared_before(declare: Any) -> None:
    with pytest.raises(SettingsError, match=r"argocd\.repository: https://example\.invalid/"):
        declare("dev", {"argocd.repository": ROOT})


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "203.0.112.0/22", "198.18.0.1/32"])
def test_other_networks_are_accepted(cidr: str) -> None:
    choices = changed(ours("learnerlab"), {"cluster.publicCidrs": [cidr]})
    refuse_placeholders(read_settings(choices), repository=REPOSITORY)
