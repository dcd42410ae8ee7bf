"""What is delivered may be delivered: sources, destinations and kinds of each AppProject."""

import itertools
from pathlib import Path

import pytest
import yaml

from tests.gitops.projects import group_and_kind, may_go_to
from tests.gitops.projects import may_have as allows
from tests.gitops.rendering import SERVER, Delivery, Json, matches, sources

CLUSTER_SCOPED = frozenset(
    {
        ("", "Namespace"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
    }
)
"""All kinds without a namespace that our charts have."""


def may_have(project: Json, thing: Json) -> bool:
    return allows(project, thing, cluster_scoped=CLUSTER_SCOPED)


@pytest.mark.charts
def test_every_source_and_destination_is_allowed(delivery: Delivery) -> None:
    assert len(delivery.applications) > 8
    for application in delivery.applications:
        spec = application["spec"]
        project = delivery.project(spec["project"])
        for source in sources(application):
            assert matches(project["spec"]["sourceRepos"], source["repoURL"])
        assert may_go_to(project, **spec["destination"])


@pytest.mark.charts
def test_no_project_allows_more_places_than_are_used(delivery: Delivery) -> None:
    for name in ("platform", "services"):
        project = delivery.project(name)["spec"]
        its = [each for each in delivery.applications if each["spec"]["project"] == name]
        used = {source["repoURL"] for each in its for source in sources(each)}
        assert set(project["sourceRepos"]) == used
        namespaces = {each["spec"]["destination"]["namespace"] for each in its}
        allowed = {each["namespace"] for each in project["destinations"]}
        # Operators keep their leases and their right to ask about tokens there.
        assert allowed - {"kube-system"} == namespaces - {"kube-system"}
        assert {each["server"] for each in project["destinations"]} == {SERVER}


@pytest.mark.charts
def test_all_that_our_charts_have_is_allowed_where_it_goes(delivery: Delivery) -> None:
    project = delivery.project("services")
    for application in delivery.ours().values():
        destination = application["spec"]["destination"]
        for thing in delivery.rendered(application):
            assert may_have(project, thing), group_and_kind(thing)
            namespace = thing["metadata"].get("namespace", destination["namespace"])
            assert may_go_to(project, server=destination["server"], namespace=namespace)


@pytest.mark.charts
def test_every_branch_of_our_charts_is_allowed(bare: Delivery) -> None:
    """The files in ci/ turn on what no environment of ours has."""
    project = bare.project("services")
    files = sorted(Path("helm").glob("*/ci/*-values.yaml"))
    assert files
    for file in files:
        chart = file.parent.parent
        things = bare.helm.template(
            chart, name="sluice", namespace="sluice", values=[file], over={}
        )
        for thing in things:
            assert may_have(project, thing), (file.name, group_and_kind(thing))


@pytest.mark.charts
def test_services_may_have_no_kind_that_they_do_not_need(bare: Delivery) -> None:
    project = bare.project("services")["spec"]
    used = set()
    for file in Path("helm").glob("*/ci/*-values.yaml"):
        things = bare.helm.template(
            file.parent.parent, name="sluice", namespace="sluice", values=[file], over={}
        )
        used |= {group_and_kind(thing) for thing in things}
    lists = (project["clusterResourceWhitelist"], project["namespaceResourceWhitelist"])
    allowed = {(each["group"], each["kind"]) for each in itertools.chain(*lists)}
    # Argo CD itself makes the namespaces.
    assert allowed - {("", "Namespace")} <= used


@pytest.mark.charts
def test_nobody_delivers_a_workflow_or_the_rights_of_all(bare: Delivery) -> None:
    project = bare.project("services")
    assert not may_have(project, {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow"})
    assert not may_have(project, {"apiVersion": "v1", "kind": "Pod"})
    assert not may_have(project, {"apiVersion": "v1", "kind": "PersistentVolumeClaim"})
    assert not may_have(
        project, {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    )


@pytest.mark.charts
def test_objects_that_argo_makes_are_not_reported_as_orphans(bare: Delivery) -> None:
    ignored = bare.project("services")["spec"]["orphanedResources"]["ignore"]
    for kind in ("Workflow", "WorkflowTaskResult", "WorkflowTaskSet"):
        assert any(
            matches([each["group"]], "argoproj.io") and matches([each["kind"]], kind)
            for each in ignored
        )


def test_a_role_of_a_project_grants_within_it_alone() -> None:
    text = Path("argocd/root/templates/projects.yaml").read_text("utf-8")
    rules = [line.strip() for line in text.splitlines() if line.strip().startswith("- p, ")]
    assert len(rules) > 4
    for rule in rules:
        _, subject, _, _, thing, effect = [part.strip() for part in rule[2:].split(",")]
        assert subject.startswith("proj:services:")
        assert thing == "services/*"
        assert effect == "allow"


def test_kinds_are_listed_by_group_once() -> None:
    kinds = yaml.safe_load(Path("argocd/root/files/kinds.yaml").read_text("utf-8"))
    for group, names in kinds.items():
        assert names == sorted(set(names)), group
