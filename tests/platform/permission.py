"""Whether Argo CD may deliver what is rendered, and whether its namespace exists by then."""

import itertools
from collections.abc import Iterable, Mapping

from tests.gitops.projects import group_and_kind, may_go_to, may_have
from tests.gitops.rendering import matches
from tests.platform.objects import Delivered, Json, Scopes, name_of

ALREADY = frozenset({"default", "kube-system", "kube-public", "kube-node-lease", "argocd"})
"""Namespaces that exist before anything is delivered."""


def not_allowed(part: Delivered, project: Json, *, scopes: Scopes) -> list[str]:
    """Return the objects whose kind or namespace the part's AppProject does not allow."""
    server = part.application["spec"]["destination"]["server"]
    faults = []
    for thing in part.first:
        if not may_have(project, thing, cluster_scoped=scopes.kinds):
            faults.append(f"{part.name}: {name_of(thing)} is of a kind that is not allowed")
        namespace = scopes.namespace(thing, default=part.namespace)
        if namespace and not may_go_to(project, server=server, namespace=namespace):
            faults.append(
                f"{part.name}: {name_of(thing)}: namespace {namespace} is not permitted "
                f"in project {project['metadata']['name']}"
            )
    return faults


def not_managed(part: Delivered, exclusions: Iterable[Mapping[str, list[str]]]) -> list[str]:
    """Return the objects that Argo CD leaves out, by its `resource.exclusions`."""
    excluded = [(each["apiGroups"], each["kinds"]) for each in exclusions]
    return [
        f"{part.name}: {name_of(thing)} is of a kind that Argo CD excludes"
        for thing in part.first
        for groups, kinds in excluded
        if matches(groups, group_and_kind(thing)[0]) and matches(kinds, thing["kind"])
    ]


def without_namespace(parts: list[Delivered], *, scopes: Scopes) -> list[str]:
    """Return the objects whose namespace does not exist when they are applied.

    An Application's own is created with it, and another's only by an earlier wave. The Applications
    of our charts are one wave, in which a sync is retried until the others' namespaces exist.
    """
    there = ALREADY
    faults = []
    for _, wave in itertools.groupby(sorted(parts, key=_wave), key=_wave):
        together = list(wave)
        made = {part.name: _made_by(part) for part in together}
        ours = {
            name
            for part in together
            if part.application["spec"]["project"] == "services"
            for name in made[part.name]
        }
        for part in together:
            retried = ours if part.application["spec"]["project"] == "services" else set()
            known = there | made[part.name] | retried
            for thing in part.first:
                namespace = scopes.namespace(thing, default=part.namespace)
                if namespace and namespace not in known:
                    faults.append(
                        f"{part.name}: {name_of(thing)}: namespace {namespace} does not exist "
                        f"in wave {part.wave}"
                    )
        there = there.union(*made.values())
    return faults


def _wave(part: Delivered) -> int:
    return part.wave


def _made_by(part: Delivered) -> set[str]:
    made = {each["metadata"]["name"] for each in part.first if each["kind"] == "Namespace"}
    options = part.application["spec"].get("syncPolicy", {}).get("syncOptions", [])
    return made | ({part.namespace} if "CreateNamespace=true" in options else set())
