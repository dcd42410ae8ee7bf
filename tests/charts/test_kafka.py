"""helm/kafka makes the topics of the contract, and helm/sluice connects to it as it listens."""

from pathlib import Path

import pytest
import yaml

from sluice_contracts.audit import AUDIT_TOPIC, audit_topic
from sluice_contracts.topic_sets import Door, TopicSets
from sluice_contracts.topics import (
    TopicNames,
    TopicTable,
    controls_topic,
    mismatches,
    mismatches_of,
    topic_table,
)
from sluice_dispatcher.settings import DispatcherSettings
from sluice_runtime.kafka.settings import KafkaSettings
from tests.charts.rendering import CHART, KAFKA, Helm, Json, Rendered, ci_files, ci_name

pytestmark = pytest.mark.charts

FILES = {ci_name(file): file for file in ci_files(KAFKA)}
SERVICES = ("gateway", "dispatcher", "status-watcher")
CONTROLS = "runs.controls"


@pytest.fixture(params=FILES)
def kafka(request: pytest.FixtureRequest, helm: Helm) -> Rendered:
    """The chart with any file of values."""
    return helm.rendered(FILES[request.param], KAFKA)


@pytest.fixture
def default(helm: Helm) -> Rendered:
    """The chart as it is."""
    return helm.rendered(FILES["default"], KAFKA)


def cluster(rendered: Rendered) -> Json:
    [found] = rendered.of("Kafka")
    return found


AUDIT = {AUDIT_TOPIC, "runs.audit"}


def topics(rendered: Rendered) -> dict[str, dict[str, str]]:
    """Give the topics of all sets; those of controls and of the audit belong to none."""
    found = {each["metadata"]["name"]: each["spec"]["config"] for each in rendered.of("KafkaTopic")}
    return {name: config for name, config in found.items() if name not in {CONTROLS, *AUDIT}}


def tables(rendered: Rendered) -> list[TopicTable]:
    """Give what the contract says of topics of these names, a table for each set."""
    ours = sorted(TopicNames().model_dump().values())
    if sorted(topics(rendered)) == ours:
        return [topic_table(TopicNames())]
    values = yaml.safe_load(FILES["everything"].read_text("utf-8"))
    names = {topic: values["topics"][topic]["name"] for topic in TopicNames.model_fields}
    doors = [Door.model_validate(door) for door in values["doors"]]
    sets = TopicSets(TopicNames.model_validate(names), doors)
    return [topic_table(each.topics) for each in sets]


def test_the_topics_are_those_that_the_services_would_create(default: Rendered) -> None:
    settings = KafkaSettings()
    in_sync = {"min.insync.replicas": str(settings.in_sync_replicas)}
    [table] = tables(default)
    assert topics(default) == {spec.name: spec.config() | in_sync for spec in table}
    for topic in default.of("KafkaTopic"):
        assert topic["spec"]["partitions"] == settings.partitions
        assert topic["spec"]["replicas"] == settings.replication_factor


@pytest.mark.parametrize(
    ("name", "topic"), [("default", AUDIT_TOPIC), ("everything", "runs.audit")]
)
def test_the_gateway_alone_may_write_its_audit(helm: Helm, name: str, topic: str) -> None:
    rendered = helm.rendered(FILES[name], KAFKA)
    config = rendered.one("KafkaTopic", topic)["spec"]["config"]
    own = audit_topic(topic).config()
    assert config.items() >= {name: own[name] for name in own if name != "retention.ms"}.items()
    if name == "default":
        assert config["retention.ms"] == own["retention.ms"]
    users = {each["metadata"]["name"] for each in rendered.of("KafkaUser")}
    granted = {user: acls(rendered, user).get(("topic", topic)) for user in users}
    [gateway] = [user for user in users if user.endswith("-gateway")]
    assert granted == {**dict.fromkeys(users), gateway: ["Describe", "Write"]}


def test_the_services_would_take_them_whatever_is_given(kafka: Rendered) -> None:
    [replicas] = {topic["spec"]["replicas"] for topic in kafka.of("KafkaTopic")}
    in_sync = KafkaSettings(replication_factor=replicas).in_sync_replicas
    expected = tables(kafka)
    assert sorted(topics(kafka)) == sorted(spec.name for table in expected for spec in table)
    for table in expected:
        assert mismatches(table, topics(kafka), in_sync_replicas=in_sync) == []
    brokers = [pool for pool in kafka.of("KafkaNodePool") if "broker" in pool["spec"]["roles"]]
    assert replicas <= sum(pool["spec"]["replicas"] for pool in brokers)


def test_the_topic_of_controls_is_written_by_the_gateway(helm: Helm, default: Rendered) -> None:
    everything = helm.rendered(FILES["everything"], KAFKA)
    topic = everything.one("KafkaTopic", CONTROLS)["spec"]
    spec = controls_topic(CONTROLS)
    assert topic["config"] == spec.config() | {"min.insync.replicas": "2"}
    assert mismatches_of(spec, topic["config"], in_sync_replicas=2) == []
    reads = ["Describe", "DescribeConfigs", "Read"]
    assert acls(everything, "runs-dispatcher")["topic", CONTROLS] == reads
    assert acls(everything, "runs-gateway")["topic", CONTROLS] == [*reads, "Write"]
    assert not any("controls" in each["metadata"]["name"] for each in default.of("KafkaTopic"))


def test_objects_that_hold_data_are_never_removed(kafka: Rendered) -> None:
    for each in kafka.of("Kafka", "KafkaNodePool", "KafkaTopic"):
        annotations = each["metadata"]["annotations"]
        assert annotations["argocd.argoproj.io/sync-options"] == "Prune=false,Delete=false"
        assert annotations["helm.sh/resource-policy"] == "keep"
    for pool in kafka.of("KafkaNodePool"):
        [volume] = pool["spec"]["storage"]["volumes"]
        assert volume["type"] == "persistent-claim"
        assert volume["deleteClaim"] is False


def test_everything_is_of_one_cluster(kafka: Rendered) -> None:
    name = cluster(kafka)["metadata"]["name"]
    for each in kafka.of("KafkaNodePool", "KafkaTopic", "KafkaUser"):
        assert each["metadata"]["labels"]["strimzi.io/cluster"] == name


def test_there_is_an_odd_number_of_controllers(kafka: Rendered) -> None:
    pools = [pool["spec"] for pool in kafka.of("KafkaNodePool")]
    assert sum(pool["replicas"] for pool in pools if "controller" in pool["roles"]) % 2 == 1


def test_nobody_comes_in_unknown_where_accounts_count(kafka: Rendered) -> None:
    spec = cluster(kafka)["spec"]["kafka"]
    for listener in spec["listeners"]:
        assert ("authentication" in listener) or "authorization" not in spec
        assert listener["tls"] == ("authentication" in listener)
    assert ("authorization" in spec) == bool(kafka.of("KafkaUser"))
    known = {
        listener["authentication"]["type"] for listener in spec["listeners"] if listener["tls"]
    }
    for user in kafka.of("KafkaUser"):
        assert user["spec"]["authentication"]["type"] in known


def test_every_container_is_restricted(kafka: Rendered) -> None:
    """Strimzi's operator keeps to the lower, baseline standard by default."""
    spec = cluster(kafka)["spec"]
    templates = [
        *(spec["kafka"]["template"][name] for name in ("kafkaContainer", "initContainer")),
        *spec["entityOperator"]["template"].values(),
        *([spec["kafkaExporter"]["template"]["container"]] if "kafkaExporter" in spec else []),
    ]
    assert len(templates) >= 4
    for template in templates:
        # https://kubernetes.io/docs/concepts/security/pod-security-standards/
        assert template["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
            "capabilities": {"drop": ["ALL"]},
        }


def test_metrics_are_read_where_they_are(kafka: Rendered) -> None:
    spec = cluster(kafka)["spec"]["kafka"]
    if "metricsConfig" in spec:
        reference = spec["metricsConfig"]["valueFrom"]["configMapKeyRef"]
        assert reference["key"] in kafka.one("ConfigMap", reference["name"])["data"]
    for monitor in kafka.of("PodMonitor"):
        assert "metricsConfig" in spec
        selector = monitor["spec"]["selector"]["matchLabels"]
        assert selector["strimzi.io/cluster"] == cluster(kafka)["metadata"]["name"]


@pytest.mark.parametrize(
    ("file", "as_in", "authentication"),
    [("default", "strimzi", "scram-sha-512"), ("certificates", "strimzi-tls", "tls")],
)
def test_the_notes_are_values_that_sluice_takes(
    helm: Helm, tmp_path: Path, file: str, as_in: str, authentication: str
) -> None:
    kafka = helm.rendered(FILES[file], KAFKA)
    notes = helm.notes(FILES[file], KAFKA)
    said = notes[notes.index("    kafka:") : notes.index("The Kafka, its pools")]
    values = tmp_path / "values.yaml"
    values.write_text(said, encoding="utf-8")
    sluice = helm.rendered(values, CHART)
    strimzi = helm.rendered(CHART / f"ci/{as_in}-values.yaml", CHART)
    for service in SERVICES:
        assert environment(sluice, service) == environment(strimzi, service)
        assert mounted(sluice, service) == mounted(strimzi, service)
        user = kafka.one("KafkaUser", f"sluice-{service}")
        assert user["spec"]["authentication"]["type"] == authentication
    assert_it_is_found(sluice, kafka)


def test_a_user_s_password_is_in_the_secret_of_its_name(helm: Helm, default: Rendered) -> None:
    sluice = helm.rendered(CHART / "ci/strimzi-values.yaml", CHART)
    for service in SERVICES:
        user = environment(sluice, service)["SLUICE_KAFKA__USERNAME"]["value"]
        assert default.one("KafkaUser", user)
        password = environment(sluice, service)["SLUICE_KAFKA__PASSWORD"]["valueFrom"]
        # https://strimzi.io/docs/operators/1.2.0/deploying: the Secret is called as the user is.
        assert password == {"secretKeyRef": {"name": user, "key": "password"}}


def test_a_user_s_certificate_is_in_the_secret_of_its_name(helm: Helm) -> None:
    sluice = helm.rendered(CHART / "ci/strimzi-tls-values.yaml", CHART)
    kafka = helm.rendered(FILES["certificates"], KAFKA)
    for service in SERVICES:
        user = f"sluice-{service}"
        assert kafka.one("KafkaUser", user)
        assert mounted(sluice, service)[user] == ["user.crt", "user.key"]


def test_a_single_broker_is_what_sluice_expects_by_default(helm: Helm) -> None:
    sluice = helm.rendered(CHART / "ci/default-values.yaml", CHART)
    assert_it_is_found(sluice, helm.rendered(FILES["single"], KAFKA))


def test_the_group_is_that_of_the_dispatchers(default: Rendered) -> None:
    group = DispatcherSettings.model_fields["dispatch"].default.group
    granted = [
        acl["resource"]["name"]
        for acl in default.one("KafkaUser", "sluice-dispatcher")["spec"]["authorization"]["acls"]
        if acl["resource"]["type"] == "group"
    ]
    assert granted == [group]


def test_a_client_with_a_door_has_that_door_s_topics_alone(helm: Helm) -> None:
    rendered = helm.rendered(FILES["everything"], KAFKA)
    assert acls(rendered, "runs-acme") == {
        ("topic", "runs.requests.acme"): ["Describe", "Write"],
        ("topic", "runs.status.acme"): ["Describe", "Read"],
        ("topic", "runs.results.acme"): ["Describe", "Read"],
        ("group", "runs-acme"): ["Read"],
    }
    assert acls(rendered, "runs-globex") == {("topic", "globex.runs"): ["Describe", "Write"]}
    # A client without a door stays on the default topics.
    assert acls(rendered, "runs-partner") == {("topic", "runs.requests"): ["Describe", "Write"]}


def test_services_have_their_rights_on_the_topics_of_every_set(helm: Helm) -> None:
    rendered = helm.rendered(FILES["everything"], KAFKA)
    names = set(topics(rendered))
    for service in SERVICES:
        granted = acls(rendered, f"runs-{service}")
        own_topics = set() if service == "status-watcher" else {CONTROLS}
        assert {name for kind, name in granted if kind == "topic"} - AUDIT == names | own_topics
        for kind in ("requests", "status", "results"):
            own = granted["topic", f"runs.{kind}"]
            assert granted["topic", f"runs.{kind}.acme"] == own


def acls(rendered: Rendered, user: str) -> dict[tuple[str, str], list[str]]:
    """Give what a user may do, by kind and name of what it is done to."""
    return {
        (acl["resource"]["type"], acl["resource"]["name"]): acl["operations"]
        for acl in rendered.one("KafkaUser", user)["spec"]["authorization"]["acls"]
    }


def environment(rendered: Rendered, service: str) -> dict[str, Json]:
    """Give the variables of a service for Kafka."""
    env = rendered.container(service)["env"]
    return {each["name"]: each for each in env if each["name"].startswith("SLUICE_KAFKA__")}


def assert_it_is_found(sluice: Rendered, kafka: Rendered) -> None:
    """Sluice's services look where the Kafka listens, and speak as it does."""
    name = cluster(kafka)["metadata"]["name"]
    listeners = {each["port"]: each for each in cluster(kafka)["spec"]["kafka"]["listeners"]}
    for service in SERVICES:
        values = {key: each.get("value") for key, each in environment(sluice, service).items()}
        host, _, port = (values["SLUICE_KAFKA__BOOTSTRAP_SERVERS"] or "").partition(":")
        assert host == f"{name}-kafka-bootstrap"
        listener = listeners[int(port)]
        protocol = values["SLUICE_KAFKA__SECURITY_PROTOCOL"]
        by = listener.get("authentication", {}).get("type")
        assert protocol == {"scram-sha-512": "SASL_SSL", "tls": "SSL", None: "PLAINTEXT"}[by]
        assert {
            values[f"SLUICE_KAFKA__TOPICS__{topic.upper()}"] for topic in TopicNames.model_fields
        } == set(topics(kafka))
        trusted = {f"{name}-cluster-ca-cert"} if listener["tls"] else set()
        shown = {f"{name}-{service}"} if by == "tls" else set()
        assert mounted(sluice, service).keys() == trusted | shown


def mounted(rendered: Rendered, service: str) -> dict[str, list[str]]:
    """Give the Secrets that a service mounts for Kafka, with the keys that it gets to see."""
    return {
        source["secret"]["name"]: [item["key"] for item in source["secret"]["items"]]
        for volume in rendered.workload(service)["spec"]["template"]["spec"].get("volumes", [])
        if volume["name"] == "kafka"
        for source in volume["projected"]["sources"]
    }
