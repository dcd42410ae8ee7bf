"""A database is for the cluster alone, and is not lost."""

from collections.abc import Iterator

from sluice_policies.resources import UNKNOWN, Resource, Said


def databases_are_guarded(resource: Resource, _: Said) -> Iterator[str]:
    """Databases are private, encrypted and backed up, and take connections with TLS alone."""
    match resource.type:
        case "aws:rds/instance:Instance":
            yield from _faults_of(resource)
        case "aws:rds/parameterGroup:ParameterGroup" if not _forces_tls(resource):
            yield "connections need no TLS: parameters, rds.force_ssl with the value 1"


def _faults_of(instance: Resource) -> Iterator[str]:
    # Left open, AWS decides, and in a VPC with a way to the Internet for a public address.
    if instance.at("publiclyAccessible") not in (False, UNKNOWN):
        yield "it gets a public address: publiclyAccessible has to be false"
    if instance.at("storageEncrypted") not in (True, UNKNOWN):
        yield "its disk, backups and snapshots are not encrypted: storageEncrypted"
    days = instance.at("backupRetentionPeriod")
    if days is not UNKNOWN and not days:
        yield "there are no backups of it: backupRetentionPeriod"
    group = instance.at("parameterGroupName")
    if group is not UNKNOWN and (not group or group.startswith("default.")):
        yield "AWS decides whether connections need TLS: parameterGroupName has to be one of ours"


def _forces_tls(group: Resource) -> bool:
    if group.at("parameters") is UNKNOWN:
        return True
    return any(
        each.get("name") == "rds.force_ssl" and each.get("value") in ("1", UNKNOWN)
        for each in group.each("parameters")
    )
