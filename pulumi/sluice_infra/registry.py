"""Repositories of the services' images."""

import json

import pulumi
from pulumi_aws import ecr

from sluice_infra.naming import Naming
from sluice_infra.places import SERVICES, SLUICE
from sluice_infra.settings import RegistrySettings

REPOSITORIES = tuple(f"{SLUICE}/{SLUICE}-{service}" for service in SERVICES)
"""As the chart names its images."""


class Registry(pulumi.ComponentResource):
    """A repository for each image: a tag always means the same image, and each image is scanned."""

    def __init__(
        self,
        naming: Naming,
        settings: RegistrySettings,
        *,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("sluice:infra:Registry", naming.name("registry"), None, opts)
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
            ecr.LifecyclePolicy(
                name,
                repository=repository.name,
                policy=keep(settings.keep_images),
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({})


def keep(images: int) -> str:
    """Return the policy that keeps so many images, and those without a tag for a day."""

    def rule(priority: int, selection: dict[str, object]) -> dict[str, object]:
        return {"rulePriority": priority, "selection": selection, "action": {"type": "expire"}}

    untagged = {"tagStatus": "untagged", "countType": "sinceImagePushed"}
    return json.dumps(
        {
            "rules": [
                rule(1, {**untagged, "countUnit": "days", "countNumber": 1}),
                rule(
                    2,
                    {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": images},
                ),
            ]
        }
    )
