"""Our charts as they are delivered: how, with which values, and what is protected."""

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from tests.gitops.conftest import Deliver
from tests.gitops.rendering import (
    DATABASE,
    ENVIRONMENTS,
    EVERYTHING,
    LITTLE,
    Cluster,
    Delivery,
    Helm,
    Json,
    annotation,
    deliver,
    with_database,
)

CHARTS = ("workflows", "kafka", "sluice")
DNS = [
    {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}},
    {"ipBlock": {"cidr": "172.20.0.10/32"}},
]
DATA = ("Kafka", "KafkaNodePool", "KafkaTopic", "PersistentVolumeClaim")


@pytest.mark.charts
def test_each_chart_is_an_application_and_kafka_only_if_strimzi_runs_it(
    delivered: Deliver, bare: Delivery
) -> None:
    assert tuple(delivered("dev", EVERYTHING).ours()) == CHARTS
    assert tuple(bare.ours()) == ("workflows", "sluice")
    managed = dataclasses.replace(
        EVERYTHING,
        annotations={
            **EVERYTHING.annotations,
            "sluice.dev/kafka-mode": "msk",
            "sluice.dev/kafka-bootstrap": "b-1.msk:9098,b-2.msk:9098",
            "sluice.dev/kafka-cidrs": "10.0.0.0/16",
        },
    )
    delivery = delivered("dev", managed)
    assert tuple(delivery.ours()) == ("workflows", "sluice")
    facts = delivery.values(delivery.ours()["sluice"])
    assert facts["kafka"] == {
        "bootstrapServers": "b-1.msk:9098,b-2.msk:9098",
        "securityProtocol": "SASL_SSL",
        "sasl": {"mechanism": "OAUTHBEARER", "awsRegion": "eu-central-1"},
    }
    assert egress(delivery, "kafka") == [{"ipBlock": {"cidr": "10.0.0.0/16"}}]


@pytest.mark.charts
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_services_reach_the_api_server_and_kafka_and_no_other_address(
    delivered: Deliver, environment: str
) -> None:
    delivery = delivered(environment, EVERYTHING)
    assert egress(delivery, "api-server") == [
        {"ipBlock": {"cidr": "10.0.0.0/16"}},
        {"ipBlock": {"cidr": "172.20.0.1/32"}},
    ]
    [brokers] = egress(delivery, "kafka")
    assert brokers["podSelector"]["matchLabels"]["strimzi.io/cluster"] == "sluice"


def egress(delivery: Delivery, policy: str) -> list[Json]:
    """Give where a policy of Sluice's lets its pods connect to."""
    things = delivery.rendered(delivery.ours()["sluice"])
    [found] = [
        each
        for each in things
        if each["kind"] == "NetworkPolicy" and each["metadata"]["name"] == f"sluice-{policy}"
    ]
    [rule] = found["spec"]["egress"]
    peers: list[Json] = rule["to"]
    return peers


@pytest.mark.charts
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_environment_goes_with_msk(delivered: Deliver, environment: str) -> None:
    msk = {"sluice.dev/kafka-mode": "msk", "sluice.dev/kafka-bootstrap": "b-1.msk:9098"}
    cluster = dataclasses.replace(EVERYTHING, annotations={**EVERYTHING.annotations, **msk})
    delivery = delivered(environment, cluster)
    things = delivery.rendered(delivery.ours()["sluice"])
    assert any(each["kind"] == "StatefulSet" for each in things)
    assert "SLUICE_KAFKA__AWS_REGION" in yaml.safe_dump(things)
    assert "SLUICE_KAFKA__PASSWORD" not in yaml.safe_dump(things)


def environment_of_the_gateway(things: list[Json]) -> dict[str, str]:
    """Give the plain variables of the gateway's container."""
    [workload] = [
        each
        for each in things
        if each["kind"] in ("Deployment", "StatefulSet")
        and each["metadata"]["name"] == "sluice-gateway"
    ]
    [container] = workload["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}


@pytest.mark.charts
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_database_is_entered_by_iam_unless_it_has_a_secret(
    delivered: Deliver, environment: str
) -> None:
    delivery = delivered(environment, with_database(EVERYTHING, password=False))
    sluice = delivery.ours()["sluice"]
    postgres = delivery.values(sluice)["store"]["postgres"]
    assert postgres == {
        "host": DATABASE["sluice.dev/database-host"],
        "ca": DATABASE["sluice.dev/database-ca"],
        "awsRegion": "eu-central-1",
    }
    things = delivery.rendered(sluice)
    variables = environment_of_the_gateway(things)
    assert variables["SLUICE_STORE__KIND"] == "postgres"
    assert variables["SLUICE_STORE__POSTGRES__TLS"] == "verify-full"
    assert variables["SLUICE_STORE__POSTGRES__AWS_REGION"] == "eu-central-1"
    assert not [each for each in things if each["kind"] == "ExternalSecret"]
    # Its role comes from the agent on the node.
    assert egress(delivery, "pod-identity") == [{"ipBlock": {"cidr": "169.254.170.23/32"}}]
    assert egress(delivery, "postgres") == [{"ipBlock": {"cidr": "10.0.0.0/16"}}]


@pytest.mark.charts
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_database_s_password_comes_from_the_cluster_s_store_of_secrets(
    delivered: Deliver, environment: str
) -> None:
    delivery = delivered(environment, with_database(EVERYTHING, password=True))
    things = delivery.rendered(delivery.ours()["sluice"])
    [brought] = [each for each in things if each["kind"] == "ExternalSecret"]
    assert brought["spec"]["secretStoreRef"] == {"kind": "ClusterSecretStore", "name": "aws"}
    [wanted] = brought["spec"]["data"]
    assert wanted["remoteRef"]["key"] == DATABASE["sluice.dev/database-secret"]
    variables = environment_of_the_gateway(things)
    assert "SLUICE_STORE__POSTGRES__AWS_REGION" not in variables
    assert variables["SLUICE_STORE__POSTGRES__PASSWORD_FILE"] == "/etc/sluice/postgres/password"


@pytest.mark.charts
def test_gateways_that_share_a_database_may_read_as_a_group(delivered: Deliver) -> None:
    def groups(cluster: Cluster) -> set[str]:
        delivery = delivered("prod", cluster)
        [user] = [
            each
            for each in delivery.rendered(delivery.ours()["kafka"])
            if each["kind"] == "KafkaUser" and each["metadata"]["name"] == "sluice-gateway"
        ]
        acls = user["spec"]["authorization"]["acls"]
        return {acl["resource"]["name"] for acl in acls if acl["resource"]["type"] == "group"}

    assert groups(EVERYTHING) == set()
    cluster = with_database(EVERYTHING, password=False)
    delivery = delivered("prod", cluster)
    variables = environment_of_the_gateway(delivery.rendered(delivery.ours()["sluice"]))
    assert groups(cluster) == {variables["SLUICE_STORE__GROUP"]} == {"sluice-gateway"}


@pytest.mark.charts
def test_facts_of_the_clusters_secret_reach_the_charts(delivered: Deliver) -> None:
    delivery = delivered("prod", EVERYTHING)
    said = EVERYTHING.annotations
    facts = {chart: delivery.values(each) for chart, each in delivery.ours().items()}
    assert facts["workflows"] == {
        "namespaces": {"names": ["workflows"]},
        "artifacts": {"s3": {"bucket": "sluice-dev-artifacts", "region": "eu-central-1"}},
        "networkPolicy": {"dnsTo": DNS},
    }
    sluice = facts["sluice"]
    assert sluice["image"] == {"registry": said["sluice.dev/registry"]}
    assert sluice["workflows"]["namespace"] == "workflows"
    assert sluice["networkPolicy"]["dnsTo"] == DNS
    assert sluice["gateway"]["ingress"] == {
        "enabled": True,
        "hosts": ["sluice.example.com"],
        "annotations": {
            "alb.ingress.kubernetes.io/certificate-arn": said["sluice.dev/certificate-arn"]
        },
    }
    assert sluice["kafka"]["bootstrapServers"] == "sluice-kafka-bootstrap:9093"


@pytest.mark.charts
def test_facts_that_are_missing_are_left_to_the_files_of_values(bare: Delivery) -> None:
    facts = {chart: bare.values(each) for chart, each in bare.ours().items()}
    assert facts["workflows"] == {"namespaces": {"names": ["workflows"]}}
    runbooks = "https://git.example.com/sluice/blob/main/docs/runbooks.md"
    assert facts["sluice"] == {
        "workflows": {"namespace": "workflows", "executor": {"create": False}},
        "monitoring": {"prometheusRule": {"runbookUrl": runbooks}},
        "smokeTest": {"argocd": True},
        "drain": {"enabled": False},
        "networkPolicy": {},
        "kafka": {"bootstrapServers": LITTLE.annotations["sluice.dev/kafka-bootstrap"]},
        "gateway": {"ingress": {}},
    }


@pytest.mark.charts
def test_namespaces_of_tenants_reach_all_that_need_them(helm: Helm) -> None:
    tenants = {
        "acme": {"namespace": "acme-runs", "movedFrom": ["workflows", "acme-old"]},
        "globex": {"namespace": "globex-runs"},
    }
    delivery = deliver(helm, "prod", EVERYTHING, more={"namespaces": {"tenants": tenants}})
    places = {"workflows", "acme-runs", "acme-old", "globex-runs"}
    facts = {chart: delivery.values(each) for chart, each in delivery.ours().items()}
    made = facts["workflows"]["namespaces"]
    assert (made["names"][0], set(made["names"]), made["create"]) == ("workflows", places, True)
    assert facts["sluice"]["workflows"]["tenants"] == tenants
    argo = delivery.application("argo-workflows")["spec"]["sources"][0]["helm"]["parameters"]
    prefix = "controller.workflowNamespaces["
    watched = {each["name"]: each["value"] for each in argo if each["name"].startswith(prefix)}
    assert set(watched.values()) == places
    assert watched[f"{prefix}0]"] == "workflows"
    assert set(watched) == {f"{prefix}{number}]" for number in range(4)}
    project = delivery.project("services")["spec"]
    assert {each["namespace"] for each in project["destinations"]} == {"sluice", *places}
    for application in delivery.ours().values():
        for thing in delivery.rendered(application):
            assert thing["metadata"].get("namespace", "workflows") in {"sluice", *places}


@pytest.mark.charts
def test_an_application_that_goes_starts_nothing(delivery: Delivery) -> None:
    """Argo CD runs Helm's hooks of a deletion even if the Application leaves all it has made."""
    for application in delivery.ours().values():
        for each in delivery.rendered(application):
            assert not re.search("(pre|post)-delete", annotation(each, "helm.sh/hook")), each


@pytest.mark.charts
def test_a_part_that_lacks_a_fact_says_which(delivered: Deliver) -> None:
    with pytest.raises(AssertionError, match=r"no annotation sluice\.dev/region"):
        delivered("dev", LITTLE)


def test_no_other_annotations_are_used_than_pulumi_writes() -> None:
    used = {
        name
        for file in Path("argocd").rglob("*")
        if file.is_file() and "charts" not in file.parts
        for name in re.findall(r"sluice\.dev/[a-z-]+", file.read_text("utf-8"))
    }
    labels = {"sluice.dev/environment", "sluice.dev/chart"}
    of_nodes = {"sluice.dev/workflows", "sluice.dev/pool"}
    assert used - labels - of_nodes <= EVERYTHING.annotations.keys() | DATABASE.keys()
    assert len(EVERYTHING.annotations) == 14


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_environment_has_charts(environment: str) -> None:
    """A link is one to helm/: only a promotion puts others there."""
    charts = Path("argocd/environments") / environment / "charts"
    assert {path.name for path in charts.iterdir()} == {*CHARTS}
    if charts.is_symlink():
        assert charts.resolve() == Path("helm").resolve()
    else:
        assert environment != "dev"


@pytest.mark.charts
@pytest.mark.parametrize("chart", CHARTS)
def test_the_values_of_every_environment_suit_the_chart(delivery: Delivery, chart: str) -> None:
    assert delivery.rendered(delivery.ours()[chart])


@pytest.mark.charts
def test_data_is_never_pruned_or_deleted(delivery: Delivery) -> None:
    things = delivery.rendered(delivery.ours()["kafka"])
    data = [each for each in things if each["kind"] in DATA]
    assert {each["kind"] for each in data} == {"Kafka", "KafkaNodePool", "KafkaTopic"}
    for each in data:
        options = set(annotation(each, "argocd.argoproj.io/sync-options").split(","))
        assert options >= {"Prune=false", "Delete=false"}, each["metadata"]["name"]


@pytest.mark.charts
def test_resources_and_operators_are_never_pruned(delivery: Delivery) -> None:
    for name in ("argo-workflows-crds", "prometheus-operator-crds", "strimzi", "keda"):
        assert delivery.application(name)["spec"]["syncPolicy"]["automated"] == {
            "prune": False,
            "selfHeal": True,
        }


@pytest.mark.charts
def test_every_application_heals_itself_and_tries_again_a_bounded_number_of_times(
    delivery: Delivery,
) -> None:
    for each in delivery.applications:
        policy = each["spec"]["syncPolicy"]
        assert policy["automated"]["selfHeal"] is True
        assert policy["retry"]["limit"] > 0
        assert {"CreateNamespace=true", "ServerSideApply=true"} <= set(policy["syncOptions"])
        assert annotation(each, "argocd.argoproj.io/compare-options") == "ServerSideDiff=true"


@pytest.mark.charts
def test_our_charts_are_pruned_and_a_revert_is_never_taken_for_what_has_failed(
    delivery: Delivery,
) -> None:
    """As Argo CD does that looks at some paths only: see files/services.yaml."""
    for chart, each in delivery.ours().items():
        assert each["spec"]["syncPolicy"]["automated"]["prune"] is True
        # Else a revert would wait until all retries of what it reverts have failed.
        assert each["spec"]["syncPolicy"]["retry"]["refresh"] is True
        source = each["spec"]["source"]
        assert "argocd.argoproj.io/manifest-generate-paths" not in each["metadata"]["annotations"]
        assert source["path"] == f"argocd/environments/{delivery.environment}/charts/{chart}"
        assert Path(source["path"]).is_dir()


@pytest.mark.charts
def test_an_autoscalers_replicas_are_left_to_it(delivery: Delivery) -> None:
    """Those are not in git at all where something scales; what is ignored is what it has set."""
    sluice = delivery.ours()["sluice"]
    assert "RespectIgnoreDifferences=true" in sluice["spec"]["syncPolicy"]["syncOptions"]
    ignored = {
        each["kind"]: each["managedFieldsManagers"] for each in sluice["spec"]["ignoreDifferences"]
    }
    things = delivery.rendered(sluice)
    scaled = [
        each["spec"]["scaleTargetRef"]
        for each in things
        if each["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")
    ]
    assert len(scaled) == (0 if delivery.environment == "dev" else 2)
    for target in scaled:
        assert ignored[target["kind"]] == ["kube-controller-manager"]
        [workload] = [
            each
            for each in things
            if each["kind"] == target["kind"] and each["metadata"]["name"] == target["name"]
        ]
        assert "replicas" not in workload["spec"]


@pytest.mark.charts
def test_the_smoke_test_follows_each_sync(delivery: Delivery) -> None:
    jobs = [each for each in delivery.rendered(delivery.ours()["sluice"]) if each["kind"] == "Job"]
    [job] = [each for each in jobs if each["metadata"]["name"].endswith("-smoke-test")]
    assert annotation(job, "argocd.argoproj.io/hook") == "PostSync"


@pytest.mark.charts
def test_images_come_from_the_clusters_registry_by_a_tag_that_stays(delivery: Delivery) -> None:
    things = delivery.rendered(delivery.ours()["sluice"])
    images = {
        container["image"]
        for each in things
        if each["kind"] in ("Deployment", "StatefulSet")
        for container in each["spec"]["template"]["spec"]["containers"]
    }
    assert len(images) == 3
    for image in images:
        registry, _, rest = image.partition("/")
        assert registry == EVERYTHING.annotations["sluice.dev/registry"]
        assert rest.rpartition(":")[2] not in ("", "latest", "main")


@pytest.mark.charts
@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_images_are_of_the_registries_that_the_policy_lets_in(
    delivered: Deliver, environment: str
) -> None:
    delivery = delivered(environment, EVERYTHING)
    things = delivery.rendered(delivery.ours()["sluice"])
    [policy] = [
        each
        for each in things
        if each["kind"] == "ValidatingAdmissionPolicy"
        and each["metadata"]["name"].endswith("-images")
    ]
    [places] = [
        yaml.safe_load(each["expression"])
        for each in policy["spec"]["variables"]
        if each["name"] == "places"
    ]
    images = set(re.findall(r"image: (\S+)", yaml.safe_dump(things)))
    [python] = re.findall(r"SLUICE_WORKFLOWS__PYTHON_IMAGE\n *value: (\S+)", yaml.safe_dump(things))
    known = {"quay.io/argoproj/argoexec:v4", "quay.io/strimzi/kafka:1"}
    for image in images | {python} | known:
        assert image.startswith(tuple(places)), image


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_one_tag_is_that_of_all_images(environment: str) -> None:
    file = Path(f"argocd/environments/{environment}/sluice.yaml")
    values = yaml.safe_load(file.read_text("utf-8"))
    assert re.fullmatch(r"\d+\.\d+\.\d+|\d{8}T\d{6}-[0-9a-f]{12}", values["image"]["tag"])
    for service in ("gateway", "dispatcher", "statusWatcher", "logRelay"):
        assert "image" not in values.get(service, {})


@pytest.mark.charts
def test_the_namespaces_keep_to_the_restricted_standard(delivery: Delivery) -> None:
    for each in delivery.ours().values():
        labels = each["spec"]["syncPolicy"]["managedNamespaceMetadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.charts
def test_no_two_applications_have_the_same_object(delivery: Delivery) -> None:
    """FailOnSharedResource would refuse it."""
    seen = set()
    for each in delivery.ours().values():
        assert "FailOnSharedResource=true" in each["spec"]["syncPolicy"]["syncOptions"]
        for thing in delivery.rendered(each):
            metadata = thing["metadata"]
            namespace = metadata.get("namespace", each["spec"]["destination"]["namespace"])
            key = (thing["apiVersion"], thing["kind"], namespace, metadata["name"])
            assert key not in seen
            seen.add(key)
