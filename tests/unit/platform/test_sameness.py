"""Two renders are compared apart from what the Application ignores, and no value is printed."""

from typing import Any

import pytest

from tests.platform.objects import Delivered, Json
from tests.platform.sameness import unstable


def secret(**data: str) -> Json:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "data": data}


def webhooks(*authorities: str) -> Json:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "webhook"},
        "webhooks": [{"clientConfig": {"caBundle": each}} for each in authorities],
    }


def faults(first: list[Json], second: list[Json], *ignored: Json) -> list[str]:
    spec: Json = {"destination": {"namespace": "part"}, "ignoreDifferences": list(ignored)}
    application = {"metadata": {"name": "part"}, "spec": spec}
    return unstable(Delivered(application=application, wave=0, first=first, second=second))


def test_the_order_of_objects_does_not_count() -> None:
    assert faults([secret(a="1"), webhooks("x")], [webhooks("x"), secret(a="1")]) == []


def test_a_difference_is_named_by_its_place_and_not_by_its_value() -> None:
    [fault] = faults([secret(**{"tls.key": "one"})], [secret(**{"tls.key": "two"})])
    assert fault == "part: Secret/key differs from render to render at /data/tls.key"


def test_an_object_of_one_render_is_a_difference() -> None:
    [fault] = faults([secret(a="1")], [])
    assert "Secret/key" in fault


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ({"kind": "Secret", "jsonPointers": ["/data/a"]}, 0),
        ({"kind": "Secret", "name": "key", "jsonPointers": ["/data"]}, 0),
        ({"kind": "Secret", "name": "other", "jsonPointers": ["/data"]}, 1),
        ({"kind": "Secret", "namespace": "elsewhere", "jsonPointers": ["/data"]}, 1),
        ({"kind": "Secret", "jsonPointers": ["/data/b"]}, 1),
        ({"kind": "ConfigMap", "jsonPointers": ["/data"]}, 1),
        ({"group": "apps", "kind": "Secret", "jsonPointers": ["/data"]}, 1),
        # Argo CD looks at these in the cluster.
        ({"kind": "Secret", "managedFieldsManagers": ["someone"]}, 1),
    ],
)
def test_a_rule_ignores_what_it_names(rule: Json, found: int) -> None:
    assert len(faults([secret(a="1")], [secret(a="2")], rule)) == found


def test_a_pointer_may_have_a_slash_in_a_name() -> None:
    rule = {"kind": "Secret", "jsonPointers": ["/data/checksum~1secret"]}
    one, other = (secret(**{"checksum/secret": each}) for each in "12")
    assert faults([one], [other], rule) == []


def test_a_path_of_jq_goes_through_lists() -> None:
    rule: dict[str, Any] = {
        "group": "admissionregistration.k8s.io",
        "kind": "ValidatingWebhookConfiguration",
        "jqPathExpressions": [".webhooks[]?.clientConfig.caBundle"],
    }
    assert faults([webhooks("a", "b")], [webhooks("c", "d")], rule) == []
    assert len(faults([webhooks("a")], [webhooks("a", "b")], rule)) == 1


def test_other_expressions_of_jq_are_refused() -> None:
    rule = {"kind": "Secret", "jqPathExpressions": [".data | keys"]}
    with pytest.raises(ValueError, match="understood"):
        faults([secret(a="1")], [secret(a="1")], rule)
