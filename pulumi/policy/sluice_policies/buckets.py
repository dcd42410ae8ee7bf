"""A bucket is guarded by resources beside it, which have to be there."""

from collections.abc import Iterator, Sequence

from sluice_policies.resources import Resource, Said

_GUARDS = {
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": "could be made public",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "does not say how it is encrypted"
    ),
    "aws:s3/bucketPolicy:BucketPolicy": "accepts requests without TLS",
}


def buckets_are_guarded(resources: Sequence[Resource], _: Said) -> Iterator[tuple[str, str]]:
    """Each bucket has a public access block, an encryption and a policy."""
    for bucket in resources:
        if bucket.type != "aws:s3/bucket:Bucket":
            continue
        guards = {
            each.type for each in resources if bucket.urn in each.refers.get("bucket", frozenset())
        }
        for kind, danger in _GUARDS.items():
            if kind not in guards:
                yield f"the bucket {danger}: there is no {kind.rpartition(':')[2]}", bucket.urn
