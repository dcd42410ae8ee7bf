"""A fresh clone names nothing that somebody else owns, and is refused until it is one's own."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice_infra.placeholders import refuse_placeholders
from sluice_infra.settings import SettingsError, read_settings
from tests.pulumi.declared import REPOSITORY, STACKS, changed, choices_of, ours

ROOT = "https://example.invalid/your/fork-of-sluice.git"


def _refused(choices: dict[str, Any], *, repository: str = REPOSITORY) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        refuse_placeholders(read_settings(choices), repository=repository)
    first, *found = str(raised.value).splitlines()
    assert "docs/deploy.md" in first
    return [line.strip() for line in found]


@pytest.mark.parametrize(
    ("stack", "keys"),
    [
        ("dev", ["cluster.publicCidrs: 203.0.113.0/24"]),
        (
            "staging",
            [
                "cluster.publicCidrs: 203.0.113.0/24",
                "cluster.admins: arn:aws:iam::123456789012:role/admin",
            ],
        ),
        (
            "prod",
            [
                "dns.domain: sluice.example.com",
                "cluster.admins: arn:aws:iam::123456789012:role/admin",
            ],
        ),
        ("learnerlab", ["iam.existingRoleArn: arn:aws:iam::123456789012:role/LabRole"]),
    ],
)
def test_a_fresh_clone_s_stack_is_refused_with_each_placeholder(
    stack: str, keys: list[str]
) -> None:
    expected = [f"sluice:{key} is a placeholder" for key in (f"argocd.root: {ROOT}", *keys)]
    assert _refused(choices_of(stack), repository=ROOT) == expected


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_with_values_of_one_s_own_is_accepted(stack: str) -> None:
    refuse_placeholders(read_settings(ours(stack)), repository=REPOSITORY)


def test_the_root_application_follows_a_repository_that_does_not_exist() -> None:
    """Who registers a name that a default has would own the clusters of forgetful people."""
    root = yaml.safe_load(Path("argocd/root.yaml").read_text("utf-8"))
    assert root["spec"]["source"]["repoURL"] == ROOT


@pytest.mark.parametrize(
    "repository",
    ["https://example.com/sluice.git", "git@example.invalid:you/sluice.git", ROOT],
)
def test_a_repository_that_is_an_example_is_refused(repository: str) -> None:
    choices = changed(ours("dev"), {"argocd.repository": repository})
    [line] = _refused(choices, repository=repository)
    assert line == f"sluice:argocd.repository: {repository} is a placeholder"


def test_nothing_is_declared_before(declare: Any) -> None:
    with pytest.raises(SettingsError, match=r"sluice:argocd\.root: https://example\.invalid/"):
        declare("dev", {"argocd": {}})


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "203.0.112.0/22", "198.18.0.1/32"])
def test_other_networks_are_accepted(cidr: str) -> None:
    choices = changed(ours("learnerlab"), {"cluster.publicCidrs": [cidr]})
    refuse_placeholders(read_settings(choices), repository=REPOSITORY)
