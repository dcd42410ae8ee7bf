"""Each stack as a whole: the charts of others with our values, and ours, as Argo CD applies them.

`make test-platform` runs it, on charts from a folder or pulled from their repositories.
"""

import ipaddress
import json
import re
from pathlib import Path

import pytest
import yaml

from tests.gitops.rendering import sources
from tests.platform.charts import Charts
from tests.platform.conftest import Platform
from tests.platform.objects import Delivered, Json, objects_of, pods_of
from tests.platform.permission import not_allowed, not_managed, without_namespace
from tests.platform.sameness import unstable
from tests.platform.stacks import argo_cd, kubernetes, secret_of
from tests.platform.traffic import expected, network_of, peers, webhooks_without_way, wrong
from tests.platform.validity import Validator
from tests.platform.values import defaults, unknown

pytestmark = [pytest.mark.charts, pytest.mark.platform, pytest.mark.timeout(600)]


def listed(faults: list[str]) -> None:
    """Fail with all faults, one a line."""
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)


def test_every_chart_renders_the_same_at_each_commit(platform: Platform) -> None:
    listed([fault for part in platform.parts for fault in unstable(part)])


def test_every_object_is_allowed_by_its_project(platform: Platform) -> None:
    faults = []
    for part in platform.parts:
        project = platform.delivery.project(part.application["spec"]["project"])
        faults += not_allowed(part, project, scopes=platform.scopes)
    listed(faults)


def test_argo_cd_manages_every_object(platform: Platform) -> None:
    configuration = yaml.safe_load(Path("argocd/argo-cd.yaml").read_text("utf-8"))["configs"]["cm"]
    exclusions = yaml.safe_load(configuration["resource.exclusions"])
    listed([fault for part in platform.parts for fault in not_managed(part, exclusions)])


def test_every_namespace_exists_by_its_wave(platform: Platform) -> None:
    listed(without_namespace(platform.parts, scopes=platform.scopes))


def test_every_object_is_valid_in_its_wave(platform: Platform, validator: Validator) -> None:
    listed(validator.invalid(platform.parts))


FREE = {
    # The data of ConfigMaps, whose names have dots.
    "argo-cd": frozenset({"configs.cm", "configs.params"}),
    # In the chart's values it is a comment.
    "argo-workflows": frozenset({"controller.pdb.minAvailable"}),
}


def unknown_values(charts: Charts, application: Json) -> list[str]:
    source, name = sources(application)[0], application["metadata"]["name"]
    known = defaults(charts.found(source))
    faults = []
    for file in source["helm"]["valueFiles"]:
        given = yaml.safe_load(Path(file.removeprefix("$values/")).read_text("utf-8")) or {}
        its = unknown(given, known, free=FREE.get(source["chart"], frozenset()))
        faults += [f"{name}: {file} sets {place}, which the chart does not know" for place in its]
    return faults


def test_every_value_is_one_that_its_chart_knows(platform: Platform, charts: Charts) -> None:
    listed(
        [
            fault
            for part in platform.parts
            if "chart" in sources(part.application)[0]
            for fault in unknown_values(charts, part.application)
        ]
    )


@pytest.mark.parametrize("files", [["argo-cd.yaml"], ["argo-cd.yaml", "argo-cd-ha.yaml"]])
def test_argo_cds_own_chart_takes_our_values(
    charts: Charts, validator: Validator, files: list[str]
) -> None:
    application = argo_cd(*files)
    text = charts.render(application, kubernetes=kubernetes(), apis=())
    made = objects_of(text)
    part = Delivered(application=application, wave=-50, first=made, second=made)
    listed([*unknown_values(charts, application), *validator.invalid([part])])


def cidr(stack: str) -> str:
    """Return the stack's network, which the API server is in."""
    first, _, _ = secret_of(stack)["annotations"]["sluice.dev/api-server-cidrs"].partition(",")
    return str(ipaddress.ip_network(first))


def test_network_policies_let_through_what_is_needed_and_nothing_else(platform: Platform) -> None:
    network = network_of(platform.objects, namespaces=set(platform.namespaces().values()))
    values = Path(f"argocd/environments/{platform.delivery.environment}/sluice.yaml")
    needed, forbidden = expected(load_balanced="ipBlock" in values.read_text("utf-8"))
    who = peers(platform.objects, network=cidr(platform.stack))
    listed(wrong(network, who, needed=needed, forbidden=forbidden))


def test_the_api_server_reaches_every_webhook(platform: Platform) -> None:
    network = network_of(platform.objects, namespaces=set(platform.namespaces().values()))
    who = peers(platform.objects, network=cidr(platform.stack))
    faults = webhooks_without_way(
        platform.objects, network, api_server=who["api-server"], namespaces=platform.namespaces()
    )
    listed(faults)


OPERATORS = ("strimzi-cluster-operator", "argo-workflows-workflow-controller")
"""The Deployments whose pods make pods in Sluice's namespace and in that of the Workflows."""
IMAGE = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+/[a-z0-9./_-]+:[\w.-]+")


def test_the_pods_that_operators_make_have_images_that_are_allowed(platform: Platform) -> None:
    values = Path(f"argocd/environments/{platform.delivery.environment}/sluice.yaml")
    policy = yaml.safe_load(values.read_text("utf-8")).get("imagePolicy", {})
    faults = []
    for workload, pod in pods_of(platform.objects):
        if (name := workload["metadata"]["name"]) in OPERATORS:
            images = set(IMAGE.findall(json.dumps(pod)))
            assert len(images) > 1, name
            faults += [
                f"{name} may make pods of {image}, which is not allowed"
                for image in sorted(images)
                if policy.get("enabled") and not image.startswith(tuple(policy["allowed"]))
            ]
    listed(faults)
