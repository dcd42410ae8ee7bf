"""What each workload may do at AWS, no more."""

from sluice_infra.identity import Statement, allow
from sluice_infra.places import SLUICE

PULL_IMAGES = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
)
"""On a repository. BatchGetImage covers the list of an image's signatures."""

PUSH_IMAGES = (
    "ecr:CompleteLayerUpload",
    "ecr:DescribeImages",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
)
"""On a repository, with PULL_IMAGES."""


def write_artifacts(bucket_arn: str) -> list[Statement]:
    """Rights of Argo's executor, as Argo's documentation of artifact repositories lists them."""
    return [
        allow("s3:GetObject", "s3:PutObject", "s3:DeleteObject", on=f"{bucket_arn}/*"),
        allow("s3:ListBucket", "s3:GetBucketLocation", on=bucket_arn),
    ]


def read_artifacts(bucket_arn: str) -> list[Statement]:
    """Rights of Argo's server, which shows artifacts."""
    return [
        allow("s3:GetObject", on=f"{bucket_arn}/*"),
        allow("s3:ListBucket", "s3:GetBucketLocation", on=bucket_arn),
    ]


def change_records(zone_arn: str) -> list[Statement]:
    """Rights of external-dns: the records of one zone."""
    return [
        allow("route53:ChangeResourceRecordSets", "route53:ListResourceRecordSets", on=zone_arn),
        allow(
            "route53:ListHostedZones",
            "route53:ListHostedZonesByName",
            "route53:ListTagsForResource",
            "route53:ListTagsForResources",
        ),
        allow("route53:GetChange", on="arn:aws:route53:::change/*"),
    ]


def read_secrets(*, region: str, account: str, environment: str) -> list[Statement]:
    """Rights of the External Secrets Operator: the secrets below ``sluice/<environment>/``."""
    ours = f"arn:aws:secretsmanager:{region}:{account}:secret:{SLUICE}/{environment}/*"
    return [allow("secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret", on=ours)]


def read_secret(arn: str) -> list[Statement]:
    """Rights of the External Secrets Operator: one more secret."""
    return [allow("secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret", on=arn)]


def enter_database(*, region: str, account: str, database: str, user: str) -> list[Statement]:
    """Rights of who logs in to a database of RDS as one of its users, by IAM.

    Args:
        region: Of the database.
        account: Of the database.
        database: Its resource id, ``db-…``, which is not its name.
        user: Its user.
    """
    return [
        allow("rds-db:connect", on=f"arn:aws:rds-db:{region}:{account}:dbuser:{database}/{user}")
    ]
