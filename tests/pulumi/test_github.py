"""GitHub's workflows: which repository can push images, and to where."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice_infra.github import ENVIRONMENTS
from sluice_infra.registry import REPOSITORIES
from sluice_policies.federation import github_is_one_repository
from sluice_policies.resources import Resource, Said
from tests.pulumi.declared import STACKS, Declare

GITHUB = {"github": {"repository": "octo@12/sluice@34"}}
PROVIDER = "iam/openIdConnectProvider:OpenIdConnectProvider"
ISSUER = "token.actions.githubusercontent.com"
WORKFLOWS = Path(".github/workflows")


def _trust(declare: Declare, changes: dict[str, Any]) -> dict[str, Any]:
    role = declare("dev", changes).named("iam/role:Role", "sluice-dev-github")
    [statement] = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    found: dict[str, Any] = statement
    return found


@pytest.mark.parametrize("stack", STACKS)
def test_github_has_no_role_unless_a_repository_is_named(declare: Declare, stack: str) -> None:
    declared = declare(stack)
    assert declared.of(PROVIDER) == {}
    assert not [name for name in declared.of("iam/role:Role") if "github" in name]
    assert "githubRoleArn" not in declared.outputs


def test_the_role_is_the_main_branch_s_of_one_repository(declare: Declare) -> None:
    claims = _trust(declare, GITHUB)["Condition"]["StringEquals"]
    assert claims == {
        f"{ISSUER}:aud": "sts.amazonaws.com",
        f"{ISSUER}:ref": "refs/heads/main",
        f"{ISSUER}:sub": [
            "repo:octo@12/sluice@34:ref:refs/heads/main",
            "repo:octo@12/sluice@34:environment:dev",
            "repo:octo@12/sluice@34:environment:staging",
            "repo:octo@12/sluice@34:environment:prod",
        ],
    }


def test_the_policy_accepts_the_role(declare: Declare) -> None:
    role = declare("dev", GITHUB).named("iam/role:Role", "sluice-dev-github")
    resource = Resource(type="aws:iam/role:Role", name="github", props=role.inputs)
    assert list(github_is_one_repository(resource, Said())) == []


def test_every_environment_of_the_workflows_can_be_the_role() -> None:
    """An environment replaces the branch in the subject of a job's token."""
    used = set()
    for file in WORKFLOWS.glob("*.yaml"):
        for job in yaml.safe_load(file.read_text("utf-8"))["jobs"].values():
            environment = job.get("environment", "dev")
            name = environment if isinstance(environment, str) else environment["name"]
            choices = ("staging", "prod") if "inputs.environment" in name else (name,)
            used |= set(choices)
    assert used <= set(ENVIRONMENTS)
    assert {"staging", "prod"} < used


def test_the_role_pushes_to_our_repositories_and_nothing_else(declare: Declare) -> None:
    policy = declare("dev", GITHUB).named("iam/rolePolicy:RolePolicy", "sluice-dev-github")
    token, push = json.loads(policy.inputs["policy"])["Statement"]
    assert (token["Action"], token["Resource"]) == (["ecr:GetAuthorizationToken"], ["*"])
    assert push["Resource"] == [f"arn:aws:ecr:::{name}" for name in REPOSITORIES]
    assert not [action for action in push["Action"] if re.search(r"\*|Delete|Policy", action)]
    assert {"ecr:PutImage", "ecr:BatchGetImage", "ecr:DescribeImages"} < set(push["Action"])


def test_the_next_command_needs_the_role_s_name(declare: Declare) -> None:
    role = declare("dev", GITHUB).outputs["githubRoleArn"]
    assert role == "arn:aws:iam:::sluice-dev-github"


def test_an_account_s_own_provider_is_used(declare: Declare) -> None:
    """An account has only one for an address."""
    made = declare("dev", GITHUB).one(PROVIDER)
    assert made["url"] == f"https://{ISSUER}"
    assert made["clientIdLists"] == ["sts.amazonaws.com"]
    used = {**GITHUB, "github.createProvider": False}
    assert declare("dev", used).of(PROVIDER) == {}
    principal = _trust(declare, used)["Principal"]
    assert principal == {"Federated": f"arn:aws:iam::111122223333:oidc-provider/{ISSUER}"}
