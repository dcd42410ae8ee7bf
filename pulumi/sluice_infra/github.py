"""GitHub's workflows push images without a password: they prove by OIDC which repository they are.

https://docs.github.com/en/actions/reference/security/oidc
"""

import json
from collections.abc import Sequence
from typing import Final

import pulumi
from pulumi_aws import iam

from sluice_infra.identity import allow, document
from sluice_infra.naming import Naming
from sluice_infra.rights import PULL_IMAGES, PUSH_IMAGES
from sluice_infra.settings import GitHubSettings

ISSUER: Final = "token.actions.githubusercontent.com"
BRANCH: Final = "refs/heads/main"
ENVIRONMENTS: Final = ("dev", "staging", "prod")
"""Those of the workflows' jobs. A job with one has it in its subject instead of the branch."""


class GitHub(pulumi.ComponentResource):
    """A role that the main branch of one repository can assume, to push and to read images."""

    def __init__(
        self,
        naming: Naming,
        settings: GitHubSettings,
        *,
        repositories: Sequence[pulumi.Output[str]],
        account: pulumi.Output[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make it.

        Args:
            naming: How things are called.
            settings: Which repository of GitHub.
            repositories: The ARNs of ECR's repositories.
            account: The AWS account.
            opts: Pulumi's.
        """
        super().__init__("sluice:infra:GitHub", naming.name("github"), None, opts)
        within = pulumi.ResourceOptions(parent=self)
        provider = pulumi.Output.concat("arn:aws:iam::", account, f":oidc-provider/{ISSUER}")
        if settings.create_provider:
            provider = iam.OpenIdConnectProvider(
                naming.name("github"),
                url=f"https://{ISSUER}",
                client_id_lists=["sts.amazonaws.com"],
                tags=naming.tags("github"),
                opts=within,
            ).arn
        role = iam.Role(
            naming.name("github"),
            name=naming.everywhere("github"),
            assume_role_policy=provider.apply(
                lambda arn: trust_main(arn, repository=settings.repository)
            ),
            tags=naming.tags("github"),
            opts=within,
        )
        iam.RolePolicy(
            naming.name("github"),
            role=role.id,
            policy=pulumi.Output.all(*repositories).apply(push_to),
            opts=within,
        )
        self.role_arn = role.arn
        self.register_outputs({"roleArn": role.arn})


def trust_main(provider_arn: str, *, repository: str) -> str:
    """Return the document that lets the main branch of a repository of GitHub be a role.

    A job with an environment has no branch in its subject, so the branch is demanded apart.
    """
    subjects = [f"repo:{repository}:ref:{BRANCH}"]
    subjects += [f"repo:{repository}:environment:{name}" for name in ENVIRONMENTS]
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": provider_arn},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {
                f"{ISSUER}:aud": "sts.amazonaws.com",
                f"{ISSUER}:sub": subjects,
                f"{ISSUER}:ref": BRANCH,
            }
        },
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def push_to(repositories: Sequence[str]) -> str:
    """Return the rights to push images to these repositories of ECR, and to read them."""
    return document(
        [
            allow("ecr:GetAuthorizationToken"),
            allow(*PULL_IMAGES, *PUSH_IMAGES, on=list(repositories)),
        ]
    )
