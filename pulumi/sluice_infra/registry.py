"""Repositories of the services' images."""

import json
from collections.abc import Sequence

import pulumi
from pulumi_aws import ecr

from sluice_infra.naming import Naming
from sluice_infra.places import LOG_RELAY, SERVICES, SLUICE
from sluice_infra.rights import PULL_IMAGES
from sluice_infra.settings import RegistrySettings

REPOSITORIES = tuple(f"{SLUICE}/{SLUICE}-{service}" for service in (*SERVICES, LOG_RELAY))
"""As the chart names its images."""


class Registry(pulumi.ComponentResource):
    """A repository for each image: a tag always means the same image, and each image is scanned.

    There is no lifecycle policy. ECR cannot know which images an environment runs, and counts the
    parts of an image and its signatures as images.
    """

    def __init__(
        self,
        naming: Naming,
        settings: RegistrySettings,
        *,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("sluice:infra:Registry", naming.name("registry"), None, opts)
        self.arns: list[pulumi.Output[str]] = []
        for name in REPOSITORIES:
            repository = ecr.Repository(
                name,
                name=name,
                image_tag_mutability="IMMUTABLE",
                image_scanning_configuration=ecr.RepositoryImageScanningConfigurationArgs(
                    scan_on_push=True
                ),
                encryption_configurations=[
                    ecr.RepositoryEncryptionConfigurationArgs(encryption_type="AES256")
                ],
                tags=naming.tags(name.rpartition("/")[2]),
                opts=pulumi.ResourceOptions(parent=self),
            )
            if settings.readers:
                ecr.RepositoryPolicy(
                    name,
                    repository=repository.name,
                    policy=readable_by(settings.readers),
                    opts=pulumi.ResourceOptions(parent=self),
                )
            self.arns.append(repository.arn)
        self.register_outputs({})


def readable_by(accounts: Sequence[str]) -> str:
    """Return the policy that lets these accounts pull."""
    statement = {
        "Sid": "OtherAccountsPull",
        "Effect": "Allow",
        "Principal": {"AWS": [f"arn:aws:iam::{account}:root" for account in accounts]},
        "Action": list(PULL_IMAGES),
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
