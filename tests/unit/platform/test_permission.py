"""What an AppProject allows, which namespaces exist, and which kinds Argo CD leaves out."""

from tests.gitops.rendering import SERVER
from tests.platform.objects import Delivered, Json, Scopes
from tests.platform.permission import not_allowed, not_managed, without_namespace

SCOPES = Scopes.known([])


def thing(kind: str, *, namespace: str = "", api: str = "v1", name: str = "it") -> Json:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api, "kind": kind, "metadata": metadata}


def part(
    *objects: Json,
    wave: int = 0,
    name: str = "part",
    namespace: str = "part",
    project: str = "platform",
    create: bool = True,
) -> Delivered:
    spec = {
        "project": project,
        "destination": {"server": SERVER, "namespace": namespace},
        "syncPolicy": {"syncOptions": ["CreateNamespace=true"] if create else []},
    }
    made = [*objects]
    application = {"metadata": {"name": name}, "spec": spec}
    return Delivered(application=application, wave=wave, first=made, second=made)


def project(*, cluster: list[str], namespaced: list[str], place: str = "part") -> Json:
    return {
        "metadata": {"name": "platform"},
        "spec": {
            "destinations": [{"server": SERVER, "namespace": place}],
            "clusterResourceWhitelist": [{"group": "*", "kind": each} for each in cluster],
            "namespaceResourceWhitelist": [{"group": "*", "kind": each} for each in namespaced],
        },
    }


def test_a_kind_is_looked_up_by_its_scope() -> None:
    role = thing("ClusterRole", api="rbac.authorization.k8s.io/v1")
    allowed = project(cluster=["ClusterRole"], namespaced=[])
    assert not_allowed(part(role), allowed, scopes=SCOPES) == []
    [fault] = not_allowed(
        part(role), project(cluster=[], namespaced=["ClusterRole"]), scopes=SCOPES
    )
    assert "ClusterRole/it is of a kind that is not allowed" in fault


def test_a_definition_says_the_scope_of_its_kind() -> None:
    names = {"spec": {"group": "example.com", "names": {"kind": "Widget"}, "scope": "Cluster"}}
    scopes = Scopes.known([thing("CustomResourceDefinition") | names])
    widget = thing("Widget", api="example.com/v1", namespace="elsewhere")
    assert scopes.namespace(widget, default="part") == ""
    assert SCOPES.namespace(widget, default="part") == "elsewhere"


def test_an_object_without_a_namespace_goes_to_the_applications() -> None:
    allowed = project(cluster=[], namespaced=["*"], place="other")
    [fault] = not_allowed(part(thing("Secret")), allowed, scopes=SCOPES)
    assert "namespace part is not permitted in project platform" in fault


def test_a_pattern_of_destinations_counts() -> None:
    allowed = project(cluster=[], namespaced=["*"], place="kube-*")
    there = thing("Secret", namespace="kube-system")
    assert not_allowed(part(there), allowed, scopes=SCOPES) == []


def test_a_namespace_of_a_later_wave_or_of_the_same_does_not_exist() -> None:
    needs = part(thing("Role", namespace="other"), wave=0)
    for wave, faults in ((-1, 0), (0, 1), (1, 1)):
        other = part(wave=wave, name="other", namespace="other")
        assert len(without_namespace([needs, other], scopes=SCOPES)) == faults


def test_an_application_that_does_not_create_its_namespace_needs_it() -> None:
    alone = part(thing("Secret"), create=False)
    assert len(without_namespace([alone], scopes=SCOPES)) == 1
    own = part(thing("Secret"), thing("Namespace", name="part"), create=False)
    assert without_namespace([own], scopes=SCOPES) == []


def test_our_charts_are_retried_until_the_namespaces_of_each_other_exist() -> None:
    needs = part(thing("Role", namespace="workflows"), namespace="sluice", project="services")
    brings = part(name="workflows", namespace="workflows", project="services")
    assert without_namespace([needs, brings], scopes=SCOPES) == []
    theirs = part(name="workflows", namespace="workflows", project="platform")
    assert len(without_namespace([needs, theirs], scopes=SCOPES)) == 1


def test_a_kind_that_argo_cd_excludes_is_found() -> None:
    exclusions = [{"apiGroups": ["coordination.k8s.io"], "kinds": ["Lease"]}]
    lease = thing("Lease", api="coordination.k8s.io/v1")
    assert len(not_managed(part(lease, thing("Secret")), exclusions)) == 1
    assert not_managed(part(thing("Lease", api="example.com/v1")), exclusions) == []
