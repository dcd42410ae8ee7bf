"""Nobody's workflow at GitHub but ours can be a role."""

import re
from collections.abc import Iterator
from typing import Any, Final

from sluice_policies.exposure import statements
from sluice_policies.resources import Resource, Said

_ISSUER: Final = "token.actions.githubusercontent.com"
_SUBJECT: Final = re.compile(r"repo:[^:*?]+/[^:*?]+:(ref:refs/heads/|environment:)[^*?]+")
_BRANCH: Final = re.compile(r"refs/heads/[^*?]+")


def github_is_one_repository(resource: Resource, _: Said) -> Iterator[str]:
    """A role that trusts GitHub names repository, branch and audience, without a wildcard."""
    if resource.type != "aws:iam/role:Role":
        return
    policy = resource.at("assumeRolePolicy")
    if not isinstance(policy, str):
        return
    for statement in statements(policy):
        if statement.get("Effect") == "Allow" and _trusts_github(statement):
            yield from _faults(statement.get("Condition", {}).get("StringEquals", {}))


def _trusts_github(statement: dict[str, Any]) -> bool:
    principal = statement.get("Principal")
    federated = principal.get("Federated", []) if isinstance(principal, dict) else []
    return any(_ISSUER in arn for arn in _list(federated))


def _faults(equals: dict[str, Any]) -> Iterator[str]:
    subjects = _list(equals.get(f"{_ISSUER}:sub", []))
    if not subjects or not all(map(_SUBJECT.fullmatch, subjects)):
        yield "any repository can be it: name one in StringEquals of the claim sub"
    branches = _list(equals.get(f"{_ISSUER}:ref", []))
    if not branches or not all(map(_BRANCH.fullmatch, branches)):
        yield "any branch can be it: name one in StringEquals of the claim ref"
    if _list(equals.get(f"{_ISSUER}:aud", [])) != ["sts.amazonaws.com"]:
        yield "tokens for others than AWS are accepted: the claim aud"


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
