"""Everything at rest is encrypted."""

from collections.abc import Iterator

from sluice_policies.resources import UNKNOWN, Resource, Said

_YES = ("true", True, UNKNOWN)


def secrets_are_encrypted(resource: Resource, _: Said) -> Iterator[str]:
    """A cluster's Secrets, by a key of ours."""
    if resource.type != "aws:eks/cluster:Cluster":
        return
    if "secrets" not in resource.each("encryptionConfig", "resources"):
        yield "the cluster's Secrets are not encrypted: encryptionConfig.resources"
    elif not resource.at("encryptionConfig", "provider", "keyArn"):
        yield "there is no key for the cluster's Secrets: encryptionConfig.provider.keyArn"


def disks_are_encrypted(resource: Resource, _: Said) -> Iterator[str]:
    """Nodes' disks and the cluster's volumes."""
    match resource.type:
        case "aws:ec2/launchTemplate:LaunchTemplate":
            disks = resource.each("blockDeviceMappings")
            if not disks:
                yield "disks are as the image has them, so not encrypted: blockDeviceMappings"
            for disk in disks:
                if disk.get("ebs", {}).get("encrypted") not in _YES:
                    yield f"the disk {disk.get('deviceName')} is not encrypted"
        case "aws:eks/nodeGroup:NodeGroup" if not resource.at("launchTemplate"):
            yield "without a launch template, nodes' disks are not encrypted"
        case "aws:ebs/volume:Volume" if resource.at("encrypted") not in _YES:
            yield "the volume is not encrypted"
        case "kubernetes:storage.k8s.io/v1:StorageClass":
            if resource.at("parameters", "encrypted") not in _YES:
                yield "its volumes are not encrypted: parameters.encrypted"


def kafka_is_encrypted(resource: Resource, _: Said) -> Iterator[str]:
    """MSK's records, on disk and on the wire; and nobody comes unknown."""
    if resource.type != "aws:msk/cluster:Cluster":
        return
    if not resource.at("encryptionInfo", "encryptionAtRestKmsKeyArn"):
        yield "there is no key for records at rest: encryptionInfo.encryptionAtRestKmsKeyArn"
    wire = ("encryptionInfo", "encryptionInTransit")
    if resource.at(*wire, "clientBroker") != "TLS" or resource.at(*wire, "inCluster") is not True:
        yield "records travel unencrypted: encryptionInfo.encryptionInTransit"
    if resource.at("clientAuthentication", "unauthenticated") is not False:
        yield "clients need not say who they are: clientAuthentication.unauthenticated"


def images_are_encrypted(resource: Resource, _: Said) -> Iterator[str]:
    """ECR's images, and the stack says how."""
    if resource.type == "aws:ecr/repository:Repository" and not resource.at(
        "encryptionConfigurations"
    ):
        yield "it does not say how images are encrypted: encryptionConfigurations"
