"""Argo CD, and the facts about the cluster that it gets."""

from typing import Any

import pytest

from sluice_infra.argocd import root_application
from sluice_infra.places import Annotations
from sluice_infra.settings import ArgoCdSettings, SettingsError
from sluice_infra.versions import ARGO_CD_CHART
from tests.pulumi.declared import STACKS, Declare, Declared

ROOT = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Application",
    "metadata": {"name": "root"},
    "spec": {
        "source": {
            "repoURL": "https://example.com/sluice.git",
            "targetRevision": "main",
            "helm": {
                "releaseName": "root",
                "valueFiles": ["../environments/dev/root.yaml"],
            },
        }
    },
}


def _facts(declared: Declared) -> dict[str, str]:
    secret = declared.one("Secret")
    facts: dict[str, str] = secret["metadata"]["annotations"]
    return facts


@pytest.mark.parametrize(
    ("stack", "environment"),
    [("dev", "dev"), ("staging", "staging"), ("prod", "prod"), ("learnerlab", "dev")],
)
def test_the_cluster_s_secret_says_which_environment_it_is(
    declare: Declare, stack: str, environment: str
) -> None:
    secret = declare(stack).one("Secret")
    assert secret["metadata"]["labels"] == {
        "argocd.argoproj.io/secret-type": "cluster",
        "sluice.dev/environment": environment,
    }
    assert secret["stringData"]["server"] == "https://kubernetes.default.svc"


@pytest.mark.parametrize("stack", STACKS)
def test_every_stack_states_every_fact(declare: Declare, stack: str) -> None:
    """ApplicationSets fail on annotations that are not there (`missingkey=error`)."""
    names = {name for key, name in vars(Annotations).items() if key.isupper()}
    assert set(_facts(declare(stack))) == names
    assert len(names) == 14


def test_facts_are_those_of_the_stack(declare: Declare) -> None:
    assert _facts(declare("prod", {"kafka": {"mode": "msk"}, "dns.delegated": True})) == {
        "sluice.dev/region": "eu-central-1",
        "sluice.dev/account": "111122223333",
        "sluice.dev/vpc-id": "sluice-prod-vpc",
        "sluice.dev/cluster-name": "sluice-prod",
        "sluice.dev/artifact-bucket": "sluice-prod-eu-central-1-artifacts-111122223333",
        "sluice.dev/registry": "111122223333.dkr.ecr.eu-central-1.amazonaws.com",
        "sluice.dev/kafka-mode": "msk",
        "sluice.dev/kafka-bootstrap": "b-1.kafka.amazonaws.com:9098",
        "sluice.dev/kafka-cidrs": "10.2.0.0/16",
        "sluice.dev/api-server-cidrs": "10.2.0.0/16,172.20.0.1/32",
        "sluice.dev/dns-cidrs": "172.20.0.10/32",
        "sluice.dev/zone": "sluice.test",
        "sluice.dev/domain": "sluice.test",
        "sluice.dev/certificate-arn": "arn:aws:acm:::sluice-prod-certificate",
    }


def test_facts_that_do_not_apply_are_empty(declare: Declare) -> None:
    facts = _facts(declare("dev"))
    assert facts["sluice.dev/kafka-mode"] == "strimzi"
    assert {name for name, fact in facts.items() if not fact} == {
        "sluice.dev/kafka-bootstrap",
        "sluice.dev/kafka-cidrs",
        "sluice.dev/zone",
        "sluice.dev/domain",
        "sluice.dev/certificate-arn",
    }


def test_the_gateway_gets_a_domain_once_its_certificate_is_issued(declare: Declare) -> None:
    """A load balancer refuses a certificate that is not; its Ingress would hold up the sync."""

    def names(changes: dict[str, Any]) -> tuple[str, str, str]:
        facts = _facts(declare("prod", changes))
        return (
            facts["sluice.dev/zone"],
            facts["sluice.dev/domain"],
            facts["sluice.dev/certificate-arn"],
        )

    arn = "arn:aws:acm:::sluice-prod-certificate"
    assert names({"dns": None}) == ("", "", "")
    # The zone is made, and the parent domain does not delegate to it yet.
    assert names({}) == ("sluice.test", "", "")
    assert names({"dns.delegated": True}) == ("sluice.test", "sluice.test", arn)
    assert names({"dns.zoneId": "Z9"}) == ("sluice.test", "sluice.test", arn)


def test_the_gateway_s_certificate_is_waited_for(declare: Declare) -> None:
    secret = declare("prod", {"dns.delegated": True}).named("Secret", "sluice-prod-in-cluster")
    assert "sluice-prod-certificate" in secret.after


def test_argo_cd_is_one_version_and_comes_once_pods_can_run(declare: Declare) -> None:
    declared = declare("dev")
    release = declared.named("Release", "sluice-dev-argocd")
    assert release.inputs["chart"] == "argo-cd"
    assert release.inputs["version"] == ARGO_CD_CHART
    objects = {"encrypted", "encrypted-retain", "network-policies", "load-balancers", "workflows"}
    assert {f"sluice-dev-{each}" for each in objects} <= release.after
    managed = declare("learnerlab").named("Release", "sluice-learnerlab-argocd")
    assert {"sluice-learnerlab-coredns", "sluice-learnerlab-services"} <= managed.after


def test_argo_cd_comes_once_accounts_have_their_roles(declare: Declare) -> None:
    """A pod that was made before its account had one would never be it."""
    declared = declare("dev", {"kafka": {"mode": "msk"}})
    associations = set(declared.of("eks/podIdentityAssociation:PodIdentityAssociation"))
    assert {"sluice-dev-gateway", "sluice-dev-keda", "sluice-dev-executor"} <= associations
    assert associations <= declared.named("Release", "sluice-dev-argocd").after


def test_argo_cd_comes_once_pulumi_is_let_in(declare: Declare) -> None:
    """EKS makes its creator an admin only where nobody else is."""
    assert (
        "sluice-staging-admin-0"
        in declare("staging").named("Release", "sluice-staging-argocd").after
    )


def test_the_root_application_comes_last(declare: Declare) -> None:
    root = declare("dev").named("Application", "sluice-dev-root")
    assert {"sluice-dev-argocd", "sluice-dev-in-cluster"} <= root.after


def test_the_root_application_is_that_of_the_environment() -> None:
    root = root_application(ROOT, settings=ArgoCdSettings(), environment="prod")
    source: Any = root["spec"]["source"]
    assert source["helm"] == {
        "releaseName": "root",
        "valueFiles": ["../environments/prod/root.yaml"],
    }
    assert source["repoURL"] == "https://example.com/sluice.git"
    assert source["targetRevision"] == "main"


def test_a_fork_names_its_own_repository() -> None:
    settings = ArgoCdSettings(repository="https://example.com/fork.git", revision="v1")
    root = root_application(ROOT, settings=settings, environment="dev")
    assert root["spec"]["source"]["repoURL"] == "https://example.com/fork.git"
    assert root["spec"]["source"]["targetRevision"] == "v1"


def test_a_missing_file_is_reported_with_its_key(declare: Declare) -> None:
    with pytest.raises(SettingsError, match=r"sluice:argocd\.values: there is no file nowhere"):
        declare("dev", {"argocd.values": ["nowhere.yaml"]})
    with pytest.raises(SettingsError, match=r"sluice:argocd\.root: nowhere\.yaml cannot be read"):
        declare("dev", {"argocd.root": "nowhere.yaml"})
