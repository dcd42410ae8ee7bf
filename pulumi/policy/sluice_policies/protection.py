"""Nothing in prod goes by mistake."""

from collections.abc import Iterator

from sluice_policies.resources import UNKNOWN, Resource, Said


def prod_is_protected(resource: Resource, said: Said) -> Iterator[str]:
    """Pulumi refuses to remove it; AWS the cluster, a database, and a bucket with something in it.

    Everything, not only what holds data: a destroy removes what depends on a thing first, and
    stops only at the thing.
    """
    if said.environment != "prod" or not resource.type.startswith("aws:"):
        return
    if not resource.protected:
        yield "it can be removed by mistake: sluice:protect"
    match resource.type:
        case "aws:eks/cluster:Cluster" if resource.at("deletionProtection") is not True:
            yield "the cluster can be removed past Pulumi: deletionProtection"
        case "aws:s3/bucket:Bucket" if resource.at("forceDestroy") is True:
            yield "the bucket goes with all that is in it: forceDestroy"
        case "aws:rds/instance:Instance":
            if resource.at("deletionProtection") not in (True, UNKNOWN):
                yield "the database can be removed past Pulumi: deletionProtection"
            if resource.at("skipFinalSnapshot") is True:
                yield "the database goes without a last snapshot: skipFinalSnapshot"
