"""A tag always means the same image, and each image is scanned."""

from collections.abc import Iterator

from sluice_policies.resources import Resource, Said


def images_stay_as_they_are(resource: Resource, _: Said) -> Iterator[str]:
    """A release is a tag in git: moving the tag would release without git."""
    if resource.type != "aws:ecr/repository:Repository":
        return
    if resource.at("imageTagMutability") != "IMMUTABLE":
        yield "tags can be moved: imageTagMutability"
    if resource.at("imageScanningConfiguration", "scanOnPush") is not True:
        yield "images are not scanned: imageScanningConfiguration.scanOnPush"
