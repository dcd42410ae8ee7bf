"""Each check finds what a chart of our own does wrong, rendered as the charts of others are."""

import functools
import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.gitops.rendering import SERVER, Json
from tests.platform.charts import ChartError, Charts, Programs
from tests.platform.objects import Delivered, Scopes, objects_of
from tests.platform.permission import not_allowed, without_namespace
from tests.platform.policies import Network, Peer
from tests.platform.sameness import unstable
from tests.platform.traffic import webhooks_without_way
from tests.platform.validity import Validator

pytestmark = pytest.mark.charts

FOLDER = Path("tests/data/platform")
PROJECT: Json = {
    "metadata": {"name": "platform"},
    "spec": {
        "destinations": [{"server": SERVER, "namespace": "part"}],
        "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        "namespaceResourceWhitelist": [{"group": "*", "kind": "*"}],
    },
}


def application(**values: Any) -> Json:
    helm = {"releaseName": "part", "values": json.dumps(values)}
    source = {"repoURL": "charts", "chart": "part", "targetRevision": "0.1.0", "helm": helm}
    return {
        "metadata": {"name": "part"},
        "spec": {
            "project": "platform",
            "source": source,
            "destination": {"server": SERVER, "namespace": "part"},
            "syncPolicy": {"syncOptions": ["CreateNamespace=true"]},
        },
    }


@pytest.fixture(scope="session")
def ours(programs: Programs) -> Charts:
    return Charts(folder=FOLDER, programs=programs, pull=False)


def delivered(charts: Charts, *, apis: tuple[str, ...] = (), **values: Any) -> Delivered:
    given = application(**values)
    first, second = (
        objects_of(charts.render(given, kubernetes="1.35.0", apis=apis)) for _ in range(2)
    )
    return Delivered(application=given, wave=-20, first=first, second=second)


def test_a_good_chart_passes(ours: Charts, validator: Validator) -> None:
    part = delivered(ours, widget={"size": 1})
    scopes = Scopes.known(part.first)
    assert {each["kind"] for each in part.first} >= {"RoleBinding", "Widget"}
    assert "Pod" not in {each["kind"] for each in part.first}
    assert unstable(part) == []
    assert not_allowed(part, PROJECT, scopes=scopes) == []
    assert without_namespace([part], scopes=scopes) == []
    assert validator.invalid([part]) == []
    assert webhooks(part) == []


def test_a_generated_password_is_found(ours: Charts) -> None:
    part = delivered(ours, generated=True)
    differs = "differs from render to render at"
    assert unstable(part) == [
        f"part: Secret/password {differs} /stringData/password",
        f"part: ValidatingWebhookConfiguration/webhook {differs} /webhooks/0/clientConfig/caBundle",
    ]
    part.application["spec"]["ignoreDifferences"] = [
        {
            "group": "admissionregistration.k8s.io",
            "kind": "ValidatingWebhookConfiguration",
            "jqPathExpressions": [".webhooks[]?.clientConfig.caBundle"],
        },
        {"kind": "Secret", "name": "password", "jsonPointers": ["/stringData"]},
    ]
    assert unstable(part) == []


def test_an_object_in_a_namespace_of_others_is_found(ours: Charts) -> None:
    part = delivered(ours, elsewhere="sluice")
    scopes = Scopes.known(part.first)
    where = "part: RoleBinding/reader: namespace sluice"
    assert not_allowed(part, PROJECT, scopes=scopes) == [
        f"{where} is not permitted in project platform"
    ]
    assert without_namespace([part], scopes=scopes) == [f"{where} does not exist in wave -20"]


def test_a_field_that_the_deployed_definition_lacks_is_found(
    ours: Charts, validator: Validator
) -> None:
    [fault] = validator.invalid([delivered(ours, widget={"sise": 1})])
    assert fault.startswith("part: Widget/widget: ")
    assert "sise" in fault


def test_an_object_before_its_definition_is_found(ours: Charts, validator: Validator) -> None:
    part = delivered(ours, widget={"size": 1})
    late = [each for each in part.first if each["kind"] == "CustomResourceDefinition"]
    rest = [each for each in part.first if each["kind"] != "CustomResourceDefinition"]
    early = Delivered(application=part.application, wave=-20, first=rest, second=rest)
    for wave, found in ((-30, False), (-20, True), (20, True)):
        brings = Delivered(application=part.application, wave=wave, first=late, second=late)
        faults = validator.invalid([brings, early])
        assert any("Widget/widget" in fault for fault in faults) == found


def webhooks(part: Delivered) -> list[str]:
    policies = [each for each in part.first if each["kind"] == "NetworkPolicy"]
    scopes = Scopes.known(part.first)
    return webhooks_without_way(
        part.first,
        Network(policies, {}),
        api_server=Peer(address="10.0.0.20"),
        namespaces={id(each): scopes.namespace(each, default="part") for each in part.first},
    )


def test_a_policy_that_shuts_out_the_api_server_is_found(ours: Charts) -> None:
    closed = {"podSelector": {"matchLabels": {"app": "operator"}}, "ingress": []}
    assert webhooks(delivered(ours, policy=closed)) == [
        "ValidatingWebhookConfiguration/webhook: the API server does not reach webhook:9443"
    ]
    rule = {"from": [{"ipBlock": {"cidr": "10.0.0.0/16"}}], "ports": [{"port": "webhook"}]}
    assert webhooks(delivered(ours, policy={**closed, "ingress": [rule]})) == []


def test_a_chart_sees_the_apis_of_the_cluster(ours: Charts) -> None:
    part = delivered(ours, apis=("example.com/v1", "example.com/v1/Gadget"))
    assert "Gadget" in {each["kind"] for each in part.first}


def test_a_chart_that_is_not_there_is_named(ours: Charts) -> None:
    given = application()
    given["spec"]["source"]["targetRevision"] = "0.2.0"
    with pytest.raises(ChartError, match=r"neither part-0\.2\.0 nor part-0\.2\.0\.tgz"):
        ours.render(given, kubernetes="1.35.0", apis=())


@pytest.fixture
def repository(programs: Programs, tmp_path: Path) -> Iterator[str]:
    """A repository of charts, on this machine."""
    served = tmp_path / "served"
    served.mkdir()
    handler = functools.partial(Quiet, directory=str(served))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        for command in (
            ("package", FOLDER / "part-0.1.0", "--destination", served),
            ("repo", "index", served, "--url", url),
        ):
            subprocess.run([programs.helm, *command], check=True, capture_output=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield url
        server.shutdown()
        thread.join()


class Quiet(SimpleHTTPRequestHandler):
    """Logs nothing."""

    def log_message(self, *_: Any) -> None:
        """Do not."""


def test_a_missing_chart_is_pulled_once(
    programs: Programs, repository: str, tmp_path: Path
) -> None:
    given = application()
    given["spec"]["source"]["repoURL"] = repository
    charts = Charts(folder=tmp_path / "pulled", programs=programs, pull=True)
    first = charts.render(given, kubernetes="1.35.0", apis=())
    assert [file.name for file in charts.folder.iterdir()] == ["part-0.1.0.tgz"]
    given["spec"]["source"]["repoURL"] = "http://127.0.0.1:9"
    assert charts.render(given, kubernetes="1.35.0", apis=()) == first


def test_a_missing_repository_is_cloned(programs: Programs, tmp_path: Path) -> None:
    theirs = tmp_path / "definitions"
    (theirs / "full").mkdir(parents=True)
    (theirs / "full/kustomization.yaml").write_text("resources: [widgets.yaml]")
    definition = (FOLDER / "part-0.1.0/crds/widgets.yaml").read_text("utf-8")
    (theirs / "full/widgets.yaml").write_text(definition)
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    for command in (
        ("init", "--quiet"),
        ("add", "."),
        (*who, "commit", "--quiet", "-m", "x"),
        ("tag", "v1"),
    ):
        subprocess.run(["git", *command], cwd=theirs, check=True)
    given = application()
    given["spec"]["source"] = {
        "repoURL": f"file://{theirs}",
        "targetRevision": "v1",
        "path": "full",
    }
    charts = Charts(folder=tmp_path / "pulled", programs=programs, pull=True)
    [made] = objects_of(charts.render(given, kubernetes="1.35.0", apis=()))
    assert made["kind"] == "CustomResourceDefinition"
    assert (charts.folder / "definitions-v1").is_dir()
