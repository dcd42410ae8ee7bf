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

_OURS = {"aws:ResourceTag/elbv2.k8s.aws/cluster": "false"}
_ASKED = {"aws:RequestTag/elbv2.k8s.aws/cluster": "false"}


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
    """Rights of external-dns and cert-manager: the records of one zone."""
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


def balance_load(vpc_arn: str) -> list[Statement]:
    """Rights of the AWS Load Balancer Controller: look at all, change what carries its tag."""
    return [
        allow(
            "acm:DescribeCertificate",
            "acm:ListCertificates",
            "ec2:DescribeAccountAttributes",
            "ec2:DescribeAddresses",
            "ec2:DescribeAvailabilityZones",
            "ec2:DescribeCoipPools",
            "ec2:DescribeInstances",
            "ec2:DescribeInternetGateways",
            "ec2:DescribeIpamPools",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeRouteTables",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeTags",
            "ec2:DescribeVpcPeeringConnections",
            "ec2:DescribeVpcs",
            "ec2:GetCoipPoolUsage",
            "ec2:GetSecurityGroupsForVpc",
            "elasticloadbalancing:Describe*",
            "iam:GetServerCertificate",
            "iam:ListServerCertificates",
            "wafv2:GetWebACL",
            "wafv2:GetWebACLForResource",
        ),
        allow(
            "iam:CreateServiceLinkedRole",
            StringEquals={"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"},
        ),
        # Nodes and pods let load balancers in by a rule of the cluster's own security group.
        allow(
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:RevokeSecurityGroupIngress",
            ArnEquals={"ec2:Vpc": vpc_arn},
        ),
        allow("ec2:CreateSecurityGroup"),
        allow(
            "ec2:CreateTags",
            on="arn:aws:ec2:*:*:security-group/*",
            StringEquals={"ec2:CreateAction": "CreateSecurityGroup"},
            Null=_ASKED,
        ),
        allow(
            "ec2:CreateTags",
            "ec2:DeleteTags",
            "ec2:DeleteSecurityGroup",
            on="arn:aws:ec2:*:*:security-group/*",
            Null=_OURS,
        ),
        allow(
            "elasticloadbalancing:CreateLoadBalancer",
            "elasticloadbalancing:CreateTargetGroup",
            Null=_ASKED,
        ),
        allow(
            "elasticloadbalancing:AddTags",
            on=[
                "arn:aws:elasticloadbalancing:*:*:loadbalancer/*",
                "arn:aws:elasticloadbalancing:*:*:targetgroup/*",
            ],
            StringEquals={
                "elasticloadbalancing:CreateAction": ["CreateLoadBalancer", "CreateTargetGroup"]
            },
            Null=_ASKED,
        ),
        # Listeners and rules cannot be restricted by a tag when they are created or changed.
        allow(
            "elasticloadbalancing:CreateListener",
            "elasticloadbalancing:DeleteListener",
            "elasticloadbalancing:ModifyListener",
            "elasticloadbalancing:ModifyListenerAttributes",
            "elasticloadbalancing:AddListenerCertificates",
            "elasticloadbalancing:RemoveListenerCertificates",
            "elasticloadbalancing:CreateRule",
            "elasticloadbalancing:DeleteRule",
            "elasticloadbalancing:ModifyRule",
            "elasticloadbalancing:SetRulePriorities",
            "elasticloadbalancing:SetWebAcl",
        ),
        allow(
            "elasticloadbalancing:AddTags",
            "elasticloadbalancing:RemoveTags",
            on=[
                "arn:aws:elasticloadbalancing:*:*:listener/*",
                "arn:aws:elasticloadbalancing:*:*:listener-rule/*",
            ],
        ),
        allow(
            "elasticloadbalancing:AddTags",
            "elasticloadbalancing:RemoveTags",
            "elasticloadbalancing:DeleteLoadBalancer",
            "elasticloadbalancing:DeleteTargetGroup",
            "elasticloadbalancing:ModifyCapacityReservation",
            "elasticloadbalancing:ModifyIpPools",
            "elasticloadbalancing:ModifyLoadBalancerAttributes",
            "elasticloadbalancing:ModifyTargetGroup",
            "elasticloadbalancing:ModifyTargetGroupAttributes",
            "elasticloadbalancing:SetIpAddressType",
            "elasticloadbalancing:SetSecurityGroups",
            "elasticloadbalancing:SetSubnets",
            Null=_OURS,
        ),
        allow(
            "elasticloadbalancing:RegisterTargets",
            "elasticloadbalancing:DeregisterTargets",
            on="arn:aws:elasticloadbalancing:*:*:targetgroup/*/*",
        ),
    ]
