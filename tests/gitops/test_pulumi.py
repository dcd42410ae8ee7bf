"""What Pulumi makes is what argocd/ counts on."""

import importlib.util
from ipaddress import IPv4Network
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.gitops.conftest import Deliver
from tests.gitops.rendering import DATABASE, EVERYTHING, Delivery

PULUMI = Path("pulumi")


def places() -> ModuleType:
    """The names that Pulumi's side gives; a module without imports of its own."""
    spec = importlib.util.spec_from_file_location("places", PULUMI / "sluice_infra/places.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stack(environment: str) -> dict[str, Any]:
    text = (PULUMI / f"Pulumi.{environment}.yaml").read_text("utf-8")
    found: dict[str, Any] = yaml.safe_load(text)["config"]
    return found


def test_annotations_have_the_same_names() -> None:
    def named(annotations: type) -> set[str]:
        return {value for name, value in vars(annotations).items() if not name.startswith("_")}

    assert named(places().Annotations) == EVERYTHING.annotations.keys()
    assert named(places().DatabaseAnnotations) == DATABASE.keys()
    assert places().Labels.ENVIRONMENT == "sluice.dev/environment"


@pytest.mark.charts
def test_accounts_with_rights_at_aws_are_those_of_the_charts(delivered: Deliver) -> None:
    delivery = delivered("prod", EVERYTHING)
    accounts = {
        "external-secrets-sluice-dev": places().EXTERNAL_SECRETS,
        "keda": places().KEDA,
    }
    # A fork may have no domain.
    if "sluice:dns" in stack("prod"):
        accounts["external-dns-sluice-dev"] = places().EXTERNAL_DNS
    for name, account in accounts.items():
        application = delivery.application(name)
        assert application["spec"]["destination"]["namespace"] == account.namespace
        [file] = application["spec"]["sources"][0]["helm"]["valueFiles"]
        values = yaml.safe_load(Path(file.removeprefix("$values/")).read_text("utf-8"))
        configured = values["serviceAccount"]
        assert configured.get("operator", configured)["name"] == account.name
    argo = delivery.application("argo-workflows")
    # The chart calls the server's account after its release.
    release = argo["spec"]["sources"][0]["helm"]["releaseName"]
    assert f"{release}-server" == places().ARGO_SERVER.name
    assert argo["spec"]["destination"]["namespace"] == places().ARGO_SERVER.namespace


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_ingresses_are_of_the_class_that_pulumi_makes(environment: str) -> None:
    file = Path(f"argocd/environments/{environment}/sluice.yaml")
    ingress = yaml.safe_load(file.read_text("utf-8"))["gateway"]["ingress"]
    assert ingress["className"] == places().INGRESS_CLASS
    # As docs.aws.amazon.com/eks/latest/userguide/auto-configure-alb.html lists them.
    not_in_auto_mode = {"group.name", "waf-acl-id", "web-acl-id", "shield-advanced-protection"}
    prefix = "alb.ingress.kubernetes.io/"
    assert not {f"{prefix}{name}" for name in not_in_auto_mode} & ingress["annotations"].keys()


@pytest.mark.charts
def test_namespaces_are_the_same(delivery: Delivery) -> None:
    ours = delivery.ours()
    namespaces = {chart: each["spec"]["destination"]["namespace"] for chart, each in ours.items()}
    assert namespaces["sluice"] == places().SLUICE
    assert namespaces["workflows"] == places().WORKFLOWS == places().EXECUTOR.namespace


def test_runs_go_to_the_nodes_for_them_and_to_others_where_there_are_none() -> None:
    file = Path("argocd/platform/values/argo-workflows.yaml")
    spec = yaml.safe_load(file.read_text("utf-8"))["controller"]["workflowDefaults"]["spec"]
    # Pulumi's NO_SCHEDULE is Kubernetes' NoSchedule.
    taint = {"key": places().WORKFLOWS_TAINT, "value": "true", "effect": "NoSchedule"}
    assert spec["tolerations"] == [{**taint, "operator": "Equal"}]
    # A node selector, or an affinity that is required, would leave them waiting without that pool.
    assert "nodeSelector" not in spec
    [(kind, [preferred])] = spec["affinity"]["nodeAffinity"].items()
    assert kind == "preferredDuringSchedulingIgnoredDuringExecution"
    asked = {"key": places().POOL, "operator": "In", "values": ["workflows"]}
    assert preferred["preference"]["matchExpressions"] == [asked]


def test_running_steps_are_not_moved_to_save_nodes() -> None:
    """As https://karpenter.sh/docs/concepts/disruption/#pod-level-controls says."""
    file = Path("argocd/platform/values/argo-workflows.yaml")
    spec = yaml.safe_load(file.read_text("utf-8"))["controller"]["workflowDefaults"]["spec"]
    assert spec["podMetadata"]["annotations"] == {"karpenter.sh/do-not-disrupt": "true"}


def test_nodes_that_go_wait_for_their_runs() -> None:
    file = Path("argocd/platform/values/argo-workflows.yaml")
    spec = yaml.safe_load(file.read_text("utf-8"))["controller"]["workflowDefaults"]["spec"]
    text = (PULUMI / "sluice_infra/cluster_objects.py").read_text("utf-8")
    assert f'RUN_AT_MOST = "{spec["activeDeadlineSeconds"] // 3600}h"' in text


@pytest.mark.charts
@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_kafka_s_volumes_outlive_their_claims(delivered: Deliver, environment: str) -> None:
    delivery = delivered(environment, EVERYTHING)
    pools = [
        each
        for each in delivery.rendered(delivery.ours()["kafka"])
        if each["kind"] == "KafkaNodePool"
    ]
    assert len(pools) == 2
    for pool in pools:
        for volume in pool["spec"]["storage"]["volumes"]:
            assert volume["class"] == places().RETAIN_CLASS
    assert stack(environment)["sluice:kafka"]["snapshotHours"]


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_only_load_balancers_may_send_from_outside_the_namespace(environment: str) -> None:
    file = Path(f"argocd/environments/{environment}/sluice.yaml")
    values = yaml.safe_load(file.read_text("utf-8"))
    blocks = [each["ipBlock"]["cidr"] for each in values["networkPolicy"]["gatewayFrom"][1:]]
    # tests/pulumi checks that load balancers, and nothing else, have their subnets there.
    whole = IPv4Network(stack(environment)["sluice:network"]["cidr"])
    *_, last = whole.subnets(prefixlen_diff=5)
    assert blocks == [str(last)]
    # Behind them are many clients, and each has a share of its own.
    assert values["gateway"]["settings"]["http"]["trusted_proxies"] == blocks


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_names_are_looked_after_where_there_is_a_domain(environment: str) -> None:
    file = Path(f"argocd/environments/{environment}/root.yaml")
    on = yaml.safe_load(file.read_text("utf-8"))["platform"]["external-dns"]["enabled"]
    assert on == ("sluice:dns" in stack(environment))
