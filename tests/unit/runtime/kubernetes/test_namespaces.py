"""Which namespace is whose."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_runtime.kubernetes.namespaces import Namespaces, TenantNamespace
from sluice_runtime.kubernetes.settings import KubernetesSettings
from sluice_runtime.settings import ServiceSettings, SettingsError, load_settings

_names = st.sampled_from(["runs", "acme-runs", "acme-old", "globex-runs", "shared"])


class Settings(ServiceSettings):
    """A service's settings."""

    kubernetes: KubernetesSettings = KubernetesSettings()


@st.composite
def mappings(draw: st.DrawFn) -> Namespaces:
    tenants = {}
    for tenant in draw(st.sets(st.sampled_from(["acme", "globex", "initech"]))):
        namespace = draw(_names)
        before = draw(st.lists(_names.filter(lambda name: name != namespace), max_size=2))  # noqa: B023
        tenants[tenant] = TenantNamespace(namespace=namespace, moved_from=tuple(before))
    return Namespaces("runs", tenants)


@given(mappings(), st.sampled_from(["acme", "globex", "initech", "nobody"]))
def test_every_place_of_a_tenant_is_one_of_all(namespaces: Namespaces, tenant: str) -> None:
    assert namespaces.of(tenant) == namespaces.places(tenant)[0]
    assert namespaces.before(tenant) == namespaces.places(tenant)[1:]
    assert set(namespaces.places(tenant)) <= set(namespaces.all)
    assert len(set(namespaces.all)) == len(namespaces.all)
    assert namespaces.all[0] == namespaces.of("nobody") == "runs"


def test_without_tenants_there_is_one_namespace() -> None:
    assert KubernetesSettings(namespace="runs").namespaces.all == ("runs",)


def test_the_setting_comes_from_the_environment_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    tenants = {
        "acme": {"namespace": "acme-runs", "moved_from": ["argo"]},
        "globex": {"namespace": "globex-runs"},
    }
    monkeypatch.setenv("SLUICE_KUBERNETES__TENANTS", json.dumps(tenants))
    namespaces = load_settings(Settings).kubernetes.namespaces
    assert namespaces.all == ("argo", "acme-runs", "globex-runs")
    assert namespaces.places("acme") == ("acme-runs", "argo")
    assert namespaces.of("default") == "argo"


@pytest.mark.parametrize(
    ("tenants", "message"),
    [
        ({"acme": {"namespace": "Acme_Runs"}}, "tenants"),
        ({"Acme Inc.": {"namespace": "acme-runs"}}, "tenants"),
        ({"acme": {"namespace": "runs", "moved_from": ["runs"]}}, "runs is the namespace of"),
        ({"acme": {"namespace": "runs", "movedFrom": ["argo"]}}, "movedFrom"),
    ],
)
def test_what_cannot_be_a_mapping_is_refused(
    monkeypatch: pytest.MonkeyPatch, tenants: object, message: str
) -> None:
    monkeypatch.setenv("SLUICE_KUBERNETES__TENANTS", json.dumps(tenants))
    with pytest.raises(SettingsError, match=message):
        load_settings(Settings)
