"""What an AppProject allows, by Argo CD's rules."""

from tests.gitops.rendering import Json, matches

GroupKind = tuple[str, str]


def group_and_kind(thing: Json) -> GroupKind:
    """Give an object's group, "" for the core's, and its kind."""
    group, _, version = thing["apiVersion"].rpartition("/")
    assert version
    return group, thing["kind"]


def may_go_to(project: Json, *, server: str, namespace: str) -> bool:
    """Say whether a project's Applications may have objects there."""
    return any(
        matches([each["server"]], server) and matches([each["namespace"]], namespace)
        for each in project["spec"]["destinations"]
    )


def may_have(project: Json, thing: Json, *, cluster_scoped: frozenset[GroupKind]) -> bool:
    """Say whether a project's Applications may have objects of that kind."""
    group, kind = group_and_kind(thing)
    scope = "clusterResource" if (group, kind) in cluster_scoped else "namespaceResource"
    return any(
        matches([each["group"]], group) and matches([each["kind"]], kind)
        for each in project["spec"][f"{scope}Whitelist"]
    )
