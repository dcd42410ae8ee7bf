"""Kafka's volumes are not lost with their claims, nor with their disks."""

from collections.abc import Iterator, Sequence

from sluice_policies.resources import Resource, Said

_CLASS = "kubernetes:storage.k8s.io/v1:StorageClass"
_SCHEDULE = "aws:dlm/lifecyclePolicy:LifecyclePolicy"


def volumes_are_kept(resources: Sequence[Resource], said: Said) -> Iterator[tuple[str, str]]:
    """A stack has a StorageClass that retains; snapshots take what its tags say, in prod always."""
    classes = [each for each in resources if each.type == _CLASS]
    retaining = [each for each in classes if each.at("reclaimPolicy") == "Retain"]
    if not retaining and all(each.known for each in classes):
        for cluster in resources:
            if cluster.type == "aws:eks/cluster:Cluster":
                yield "Kafka's volumes go with their claims: no class has Retain", cluster.urn
    scheduled = {tag for each in resources for tag in _tags_of(each)}
    for each in retaining:
        asked = each.at("parameters", "tagSpecification_1")
        if asked is None and said.environment == "prod":
            yield "its volumes have no snapshots: parameters.tagSpecification_1", each.urn
        if asked is not None and asked not in scheduled:
            yield f"nothing takes snapshots of volumes with its tag {asked}", each.urn


def _tags_of(schedule: Resource) -> Iterator[str]:
    """Return the tags of the volumes that an enabled schedule takes snapshots of."""
    if schedule.type == _SCHEDULE and schedule.at("state") == "ENABLED":
        for key, value in (schedule.at("policyDetails", "targetTags") or {}).items():
            yield f"{key}={value}"
