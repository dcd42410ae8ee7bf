"""A tag always means the same image, images stay, and each image is scanned."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, Final

from sluice_policies.exposure import for_everybody, statements
from sluice_policies.resources import Resource, Said


def images_stay_as_they_are(resource: Resource, _: Said) -> Iterator[str]:
    """A release is a tag in git: moving the tag would release without git."""
    if resource.type != "aws:ecr/repository:Repository":
        return
    if resource.at("imageTagMutability") != "IMMUTABLE":
        yield "tags can be moved: imageTagMutability"
    if resource.at("imageScanningConfiguration", "scanOnPush") is not True:
        yield "images are not scanned: imageScanningConfiguration.scanOnPush"


_A_RELEASE: Final = "20261125T235644-ce68e6e12ab3"
"""How `scripts/release` tags the images of a commit."""


def images_are_kept(resource: Resource, _: Said) -> Iterator[str]:
    """No rule of ECR expires what an environment may run.

    ECR cannot know which images that are. Images without a tag can be parts of one with a tag, or
    its signatures.
    """
    if resource.type != "aws:ecr/lifecyclePolicy:LifecyclePolicy":
        return
    policy = resource.at("policy")
    if not isinstance(policy, str):
        return
    for rule in json.loads(policy)["rules"]:
        selection = rule["selection"]
        if selection["tagStatus"] != "tagged":
            yield f"it expires images of releases: tagStatus {selection['tagStatus']}"
        elif any(fnmatchcase(_A_RELEASE, pattern) for pattern in _patterns(selection)):
            yield "it expires images of releases: their tags match"


def _patterns(selection: dict[str, Any]) -> Iterator[str]:
    yield from selection.get("tagPatternList", ())
    yield from (f"{prefix}*" for prefix in selection.get("tagPrefixList", ()))


def images_are_not_public(resource: Resource, _: Said) -> Iterator[str]:
    """Only named accounts pull, and nobody else pushes."""
    if resource.type != "aws:ecr/repositoryPolicy:RepositoryPolicy":
        return
    policy = resource.at("policy")
    if isinstance(policy, str) and any(map(for_everybody, statements(policy))):
        yield "everybody may use its images: name accounts in sluice:registry.readers"
