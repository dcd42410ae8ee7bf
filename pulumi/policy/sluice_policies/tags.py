"""Everything says whose it is."""

from collections.abc import Iterator, Mapping

from sluice_policies.resources import UNKNOWN, Resource, Said

REQUIRED = ("Environment", "ManagedBy", "Name", "Owner", "Project")

WITHOUT_TAGS = frozenset(
    {
        "aws:acm/certificateValidation:CertificateValidation",
        "aws:ec2/route:Route",
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        "aws:ecr/repositoryPolicy:RepositoryPolicy",
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        "aws:iam/rolePolicy:RolePolicy",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "aws:msk/configuration:Configuration",
        "aws:route53/record:Record",
        "aws:s3/bucketAcl:BucketAcl",
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        "aws:s3/bucketPolicy:BucketPolicy",
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "aws:s3/bucketVersioning:BucketVersioning",
    }
)
"""Kinds that AWS gives no tags. A kind that is not listed has to have them."""


def everything_is_tagged(resource: Resource, _: Said) -> Iterator[str]:
    """All of AWS that can carry tags carries ours; so do instances and volumes of a template."""
    if not resource.type.startswith("aws:") or resource.type in WITHOUT_TAGS:
        return
    yield from _lacks("tags", resource.at("tags"))
    if resource.type == "aws:ec2/launchTemplate:LaunchTemplate":
        given = {each.get("resourceType"): each for each in resource.each("tagSpecifications")}
        for kind in ("instance", "volume"):
            tags = given.get(kind, {}).get("tags")
            yield from _lacks(f"tagSpecifications of each {kind}", tags)


def _lacks(where: str, tags: object) -> Iterator[str]:
    if tags is UNKNOWN:
        return
    given = tags if isinstance(tags, Mapping) else {}
    if lacks := [name for name in REQUIRED if not given.get(name)]:
        yield f"{where}: {', '.join(lacks)} missing"
