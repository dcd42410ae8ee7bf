"""Every object that a chart can make is valid by the schema of its kind."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.charts.kubeconform import Kubeconform
from tests.charts.rendering import ALL_FILES, Helm, Json, Rendered, chart_of

pytestmark = pytest.mark.charts


def test_every_object_is_valid(anything: Rendered, kubeconform: Kubeconform) -> None:
    complaints = kubeconform.complaints(anything.objects)
    assert {name: complaint for name, complaint in complaints.items() if complaint} == {}
    assert complaints.keys() == {name_of(each) for each in anything.objects}


def name_of(each: Json) -> str:
    return f"{each['kind']}/{each['metadata']['name']}"


@pytest.fixture(scope="module")
def one_of_each(helm: Helm) -> dict[str, Json]:
    """Give an object of each kind that our charts make."""
    found: dict[str, Json] = {}
    for file in ALL_FILES:
        for each in helm.rendered(file, chart_of(file)).objects:
            found.setdefault(each["kind"], each)
    return found


def misspelt(each: Json) -> Iterator[tuple[str, Json]]:
    """Give copies that have a field too many, where nothing but known fields may be."""
    places: list[tuple[str, ...]] = [(), ("metadata",)]
    if isinstance(each.get("spec"), dict) and each["kind"] != "ResourceQuota":
        places.append(("spec",))
    for place in places:
        wrong = copy.deepcopy(each)
        below: Any = wrong
        for name in place:
            below = below[name]
        below["typo"] = 1
        wrong["metadata"]["name"] = "-".join(["wrong", *place])
        yield f"{each['kind']}/{wrong['metadata']['name']}", wrong


def test_a_misspelt_field_is_seen_in_every_kind(
    one_of_each: dict[str, Json], kubeconform: Kubeconform
) -> None:
    assert len(one_of_each) > 25
    wrong = dict(pair for each in one_of_each.values() for pair in misspelt(each))
    complaints = kubeconform.complaints(wrong.values())
    assert complaints.keys() == wrong.keys()
    assert [name for name, complaint in complaints.items() if "typo" not in complaint] == []


WRONG: dict[str, tuple[tuple[str | int, ...], Any]] = {
    "Deployment": (("spec", "replicas"), "two"),
    "Service": (("spec", "ports", 0, "targetPort"), {}),
    "ScaledObject": (("spec", "triggers", 0, "metadata", "lagThreshold"), 10),
    "HTTPRoute": (("spec", "rules", 0, "backendRefs", 0, "port"), 70_000),
    "ExternalSecret": (("spec", "secretStoreRef", "kind"), "Store"),
    "PrometheusRule": (("spec", "groups", 0, "rules", 0, "for"), "soon"),
    "Kafka": (("spec", "kafka", "listeners", 0, "port"), 80),
    "KafkaNodePool": (("spec", "roles"), ["zookeeper"]),
    "KafkaUser": (("spec", "authorization", "acls", 0, "operations"), ["Send"]),
    "KafkaTopic": (("spec", "partitions"), 0),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_value_is_seen(
    kind: str, one_of_each: dict[str, Json], kubeconform: Kubeconform
) -> None:
    place, value = WRONG[kind]
    wrong = copy.deepcopy(one_of_each[kind])
    below: Any = wrong
    for step in place[:-1]:
        below = below[step]
    below[place[-1]] = value
    assert kubeconform.complaints([one_of_each[kind]]) == {name_of(wrong): ""}
    [complaint] = kubeconform.complaints([wrong]).values()
    assert complaint
