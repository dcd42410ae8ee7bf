"""Names that others read: namespaces and accounts in the cluster, and the annotations for Argo CD.

The ApplicationSets in argocd/ read the annotations; the accounts are those of the charts.
"""

from dataclasses import dataclass
from typing import Final

SLUICE: Final = "sluice"
"""Namespace and name of Sluice's release, and the prefix of its services' accounts."""

WORKFLOWS: Final = "workflows"
"""Where the Workflows live."""

ARGO: Final = "argo"
"""Where Argo Workflows itself lives."""

ARGO_CD: Final = "argocd"
KUBE_SYSTEM: Final = "kube-system"

SERVICES: Final = ("gateway", "dispatcher", "status-watcher")
LOG_RELAY: Final = "log-relay"
"""The service that talks to the cluster alone: AWS gives its account nothing."""
REQUESTS: Final = "sluice.requests"
STATUS: Final = "sluice.status"
RESULTS: Final = "sluice.results"
DLQ: Final = "sluice.requests.dlq"
AUDIT: Final = "sluice.audit"
TOPICS: Final = (REQUESTS, STATUS, RESULTS, DLQ)
CONSUMER_GROUP: Final = "sluice-dispatcher"
GATEWAY_GROUP: Final = "sluice-gateway"
"""Of the gateways that share a database."""

DATABASE: Final = "sluice"
DATABASE_USER: Final = "sluice"
"""Owns the database."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """A ServiceAccount."""

    namespace: str
    name: str


EXECUTOR: Final = Account(namespace=WORKFLOWS, name="sluice-executor")
ARGO_SERVER: Final = Account(namespace=ARGO, name="argo-workflows-server")
EXTERNAL_DNS: Final = Account(namespace="external-dns", name="external-dns")
EXTERNAL_SECRETS: Final = Account(namespace="external-secrets", name="external-secrets")
KEDA: Final = Account(namespace="keda", name="keda-operator")
NETWORKING: Final = Account(namespace=KUBE_SYSTEM, name="aws-node")
VOLUMES: Final = Account(namespace=KUBE_SYSTEM, name="ebs-csi-controller-sa")


def account_of(service: str) -> Account:
    """Return the account of one of Sluice's services."""
    return Account(namespace=SLUICE, name=f"{SLUICE}-{service}")


class Labels:
    """Labels of Argo CD's cluster Secret."""

    SECRET_TYPE: Final = "argocd.argoproj.io/secret-type"  # noqa: S105
    ENVIRONMENT: Final = "sluice.dev/environment"


class Annotations:
    """Annotations of Argo CD's cluster Secret: what is known only once the stack is up."""

    REGION: Final = "sluice.dev/region"
    ACCOUNT: Final = "sluice.dev/account"
    VPC_ID: Final = "sluice.dev/vpc-id"
    CLUSTER_NAME: Final = "sluice.dev/cluster-name"
    ARTIFACT_BUCKET: Final = "sluice.dev/artifact-bucket"
    REGISTRY: Final = "sluice.dev/registry"
    KAFKA_MODE: Final = "sluice.dev/kafka-mode"
    KAFKA_BOOTSTRAP: Final = "sluice.dev/kafka-bootstrap"
    KAFKA_CIDRS: Final = "sluice.dev/kafka-cidrs"
    API_SERVER_CIDRS: Final = "sluice.dev/api-server-cidrs"
    DNS_CIDRS: Final = "sluice.dev/dns-cidrs"
    ZONE: Final = "sluice.dev/zone"
    DOMAIN: Final = "sluice.dev/domain"
    CERTIFICATE_ARN: Final = "sluice.dev/certificate-arn"


class DatabaseAnnotations:
    """More of them, where gateways share a database; the secret only where it has a password."""

    HOST: Final = "sluice.dev/database-host"
    CIDRS: Final = "sluice.dev/database-cidrs"
    CA: Final = "sluice.dev/database-ca"
    SECRET: Final = "sluice.dev/database-secret"  # noqa: S105


POOL: Final = "sluice.dev/pool"
"""Label of the nodes for Workflows, with the value "workflows"."""

WORKFLOWS_TAINT: Final = "sluice.dev/workflows"
"""Taint of the nodes for Workflows, with the value "true": NoSchedule."""

DEFAULT_CLASS: Final = "encrypted"
"""The default StorageClass: a volume is deleted with its claim."""

RETAIN_CLASS: Final = "encrypted-retain"
"""The StorageClass of Kafka's volumes, which outlive their claims, namespace and cluster."""

INGRESS_CLASS: Final = "alb"
"""The IngressClass of the gateway's load balancer."""

SNAPSHOT_TAG: Final = "sluice.dev/snapshots"
"""Tag of the volumes that are snapshotted, with the stack's prefix as value."""
