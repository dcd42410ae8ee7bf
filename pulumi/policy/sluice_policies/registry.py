"""A tag means one image for ever, and somebody has looked into it."""

from collections.abc import Iterator

from sluice_policies.resources import Resource, Said


def images_stay_as_they_are(resource: Resource, _: Said) -> Iterator[str]:
    """A release is a tag in git: whoever moves the tag releases past git."""
    if resource.type != "aws:ecr/repository:Repository":
        return
    if resource.at("imageTagMutability") != "IMMUTABLE":
        yield "tags can be moved: imageTagMutability"
    if resource.at("imageScanningConfiguration", "scanOnPush") is not True:
        yield "images are not scanned: imageScanningConfiguration.scanOnPush"
