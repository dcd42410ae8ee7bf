"""The chart gives services valid settings, opens their ports, and grants what they need."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from importlib.metadata import EntryPoints
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from pydantic import BaseModel, TypeAdapter

from sluice_argo import metadata
from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.topic_sets import Door, TopicSets
from sluice_contracts.topics import TopicNames
from sluice_dispatcher.settings import DispatcherSettings, DispatchSettings
from sluice_gateway.adapters.identity_files import read_grants
from sluice_gateway.settings import GatewaySettings
from sluice_runtime.dedupe import DedupeSettings
from sluice_runtime.live_limits import Limits, TenantLimits
from sluice_runtime.settings import ServiceSettings, load_settings
from sluice_runtime.strict_yaml import read_yaml
from sluice_status_watcher.settings import Settings as StatusWatcherSettings
from sluice_workflows.catalogue import load_catalogue
from testbed.cluster.namespaces import namespace_manifests, sluice_manifests
from tests.charts.rendering import CHART, NAMESPACE, SERVICES, Helm, Json, Rendered
from tests.support.engines import RULES

pytestmark = pytest.mark.charts

SETTINGS: dict[str, type[ServiceSettings]] = {
    "gateway": GatewaySettings,
    "dispatcher": DispatcherSettings,
    "status-watcher": StatusWatcherSettings,
}
HOOK = "helm.sh/hook"
CONFIG = "/etc/sluice/config/"


def variables(model: type[BaseModel], prefix: str = "SLUICE_") -> Iterator[str]:
    """Give the variables that a service knows."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from variables(kind, f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}"


def environment_of(rendered: Rendered, service: str) -> dict[str, str]:
    """Give the variables of a service; what comes from elsewhere is some text."""
    env = rendered.container(service)["env"]
    names = [variable["name"] for variable in env]
    assert len(names) == len(set(names)), "a variable is set twice"
    return {variable["name"]: variable.get("value", "from elsewhere") for variable in env}


def mounted_files(rendered: Rendered, service: str) -> dict[str, str]:
    """Give what lies in the folder of the service's files."""
    pod = rendered.workload(service)["spec"]["template"]["spec"]
    for volume in pod.get("volumes", []):
        if volume["name"] == "config":
            data = rendered.one("ConfigMap", volume["configMap"]["name"])["data"]
            return {item["path"]: data[item["key"]] for item in volume["configMap"]["items"]}
    return {}


def settings_of(
    rendered: Rendered, service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Let a service read its settings as it would in its pod."""
    files = mounted_files(rendered, service)
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    for name, value in environment_of(rendered, service).items():
        monkeypatch.setenv(name, value.replace(CONFIG, f"{tmp_path}/"))
    return load_settings(SETTINGS[service])


@pytest.mark.parametrize("service", SERVICES)
def test_every_variable_is_a_setting(rendered: Rendered, service: str) -> None:
    known = {"SLUICE_CONFIG", *variables(SETTINGS[service])}
    ours = {name for name in environment_of(rendered, service) if name.startswith("SLUICE_")}
    assert ours <= known


@pytest.mark.parametrize("service", SERVICES)
def test_the_service_takes_its_settings(
    rendered: Rendered, service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(rendered, service, tmp_path, monkeypatch)
    assert settings.health.host == "0.0.0.0"


@pytest.mark.parametrize("service", SERVICES)
def test_the_charts_defaults_are_those_of_the_service(
    default: Rendered, service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for where it listens and writes, who it is, where Kafka is, and its farewell."""
    settings = settings_of(default, service, tmp_path, monkeypatch)
    own = {name: field.default for name, field in SETTINGS[service].model_fields.items()}
    for name in {"kubernetes", "dispatch", "workflows"} & own.keys():
        assert getattr(settings, name) == own[name], name
    farewell = settings.http.farewell if service == "gateway" else timedelta(0)
    assert settings.shutdown_grace - farewell == own["shutdown_grace"]
    different = {"bootstrap_servers", "instance_id"}
    kafka = settings.kafka.model_dump(exclude=different)
    assert kafka == own["kafka"].model_dump(exclude=different)
    if service == "gateway":
        assert settings.view == own["view"]
        assert settings.store == own["store"]


@pytest.mark.parametrize(
    ("size", "settings_of_view", "most"),
    [
        ("4Gi", "", 3 * 1024**3),
        ("1.5Gi", "", 1152 * 1024**2),
        ("500M", "", 375_000_000),
        ("100000000", "", 75_000_000),
        ("4Gi", ", settings: {view: {max_bytes: 1GiB}}", 1024**3),
    ],
)
def test_the_view_leaves_room_on_its_volume(
    helm: Helm,
    size: str,
    settings_of_view: str,
    most: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(
        f"kafka: {{bootstrapServers: kafka:9092}}\n"
        f'gateway: {{persistence: {{size: "{size}"}}{settings_of_view}}}\n',
        encoding="utf-8",
    )
    settings = settings_of(helm.rendered(values), "gateway", tmp_path, monkeypatch)
    assert settings.view.max_bytes == most


def test_settings_reach_their_services(
    everything: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(everything, "dispatcher", tmp_path, monkeypatch)
    assert settings.dispatch.concurrency == 32
    assert settings.dispatch.group == "runs-dispatcher"
    assert settings.log.level == "debug"
    assert settings.kafka.topics.dlq == "runs.dead"
    assert settings.kafka.security_protocol == "SASL_SSL"


@pytest.mark.parametrize(
    ("name", "secret", "key"),
    [
        ("default", "sluice-api-keys", "keys.yaml"),
        ("everything", "clients", "api-keys"),
    ],
)
def test_the_gateway_knows_its_clients(
    helm: Helm, name: str, secret: str, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered = named(helm, name)
    auth = settings_of(rendered, "gateway", tmp_path, monkeypatch).auth
    assert auth.mode == "required"
    pod = rendered.workload("gateway")["spec"]["template"]["spec"]
    [volume] = [each for each in pod["volumes"] if each["name"] == "identity"]
    granted, keys, *_ = volume["projected"]["sources"]
    # As a folder: a file that is mounted by itself does not change.
    [mount] = [
        each for each in rendered.container("gateway")["volumeMounts"] if each["name"] == "identity"
    ]
    assert "subPath" not in mount
    assert {str(auth.grants_file), str(auth.keys_file)} <= {
        f"{mount['mountPath']}/{each['path']}"
        for source in (granted["configMap"], keys["secret"])
        for each in source["items"]
    }
    assert keys["secret"]["name"] == secret
    assert keys["secret"]["items"][0]["key"] == key
    content = rendered.one("ConfigMap", granted["configMap"]["name"])["data"]["grants.yaml"]
    grants = read_grants(content.encode(), source="grants.yaml").grants
    assert "runs:start" in grants[0].scopes
    for service in ("dispatcher", "status-watcher"):
        volumes = rendered.workload(service)["spec"]["template"]["spec"].get("volumes", [])
        assert "identity" not in [each["name"] for each in volumes]


def test_the_gateway_knows_issuers_and_browsers(
    everything: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(everything, "gateway", tmp_path, monkeypatch)
    auth, sign_in = settings.auth, settings.auth.sign_in
    github, kubernetes = auth.oidc.issuers
    assert (github.kind, github.owners) == ("github-actions", ("65",))
    assert (sign_in.client_id, sign_in.user_id) == ("sluice", "email")
    assert sign_in.lifetime == timedelta(hours=4)
    assert auth.watch_links.enabled
    assert settings.http.cors_origins == ("https://dashboard.example.com",)
    # Its host is one that requests may be sent to.
    assert urlsplit(sign_in.public_origin).hostname in settings.http.allowed_hosts
    pod = everything.workload("gateway")["spec"]["template"]["spec"]
    [volume] = [each for each in pod["volumes"] if each["name"] == "identity"]
    granted, *secrets = volume["projected"]["sources"]
    there = {
        f"/etc/sluice/identity/{item['path']}"
        for source in (granted["configMap"], *(each["secret"] for each in secrets))
        for item in source["items"]
    }
    assert there == {
        str(file)
        for file in (
            auth.grants_file,
            auth.keys_file,
            auth.key_ring_file,
            sign_in.client_secret_file,
            kubernetes.jwks_file,
        )
    }
    data = everything.one("ConfigMap", granted["configMap"]["name"])["data"]
    assert json.loads(data["cluster.json"]) == {"keys": []}


@pytest.mark.parametrize(
    ("name", "reached"), [("default", []), ("everything", [{"port": 8443, "protocol": "TCP"}])]
)
def test_the_gateway_reaches_issuers_if_it_has_some(
    helm: Helm, name: str, reached: list[Any]
) -> None:
    policies = [
        each["spec"]
        for each in named(helm, name).of("NetworkPolicy")
        if each["metadata"]["name"].endswith("-issuers")
    ]
    assert [port for each in policies for port in each["egress"][0]["ports"]] == reached
    components = [each["podSelector"]["matchExpressions"][0]["values"] for each in policies]
    assert components == [["gateway"]] * len(policies)


def test_a_change_of_grants_makes_no_new_pods(helm: Helm, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(
        "gateway: {auth: {grants: [{principals: [user:a], tenants: [a], workflows: [b], "
        "scopes: [admin]}]}}"
    )
    assert helm.rendered(values).workload("gateway") == named(helm, "default").workload("gateway")


@pytest.mark.parametrize("service", ["gateway", "dispatcher", "status-watcher"])
def test_every_service_has_the_same_topic_sets(everything: Rendered, service: str) -> None:
    given = environment_of(everything, service)
    names = TopicNames(
        requests="runs.requests", status="runs.status", results="runs.results", dlq="runs.dead"
    )
    doors = TypeAdapter(tuple[Door, ...]).validate_json(given["SLUICE_KAFKA__DOORS"])
    sets = TopicSets(names, doors)
    assert sets.of_tenant("acme-test").topics.requests == "runs.requests.acme"
    assert sets.of_tenant("globex").topics.requests == "globex.runs"
    file = "/etc/sluice/kafka/signing-keys.yaml"
    signs = service != "status-watcher"
    assert given.get("SLUICE_KAFKA__SIGNING_KEYS_FILE") == (file if signs else None)


def test_keda_looks_at_the_request_topics_of_every_set(helm: Helm, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(
        "kafka: {bootstrapServers: 'kafka:9092', doors: [{name: acme, tenants: [acme]}, "
        "{name: globex, tenants: [globex], topics: {requests: globex.runs}}, "
        "{name: closed, tenants: []}]}\n"
        "dispatcher: {keda: {enabled: true}}\n",
        encoding="utf-8",
    )
    [scaled] = helm.rendered(values).of("ScaledObject")
    triggers = [each["metadata"] for each in scaled["spec"]["triggers"]]
    assert [each["topic"] for each in triggers] == [
        "sluice.requests",
        "sluice.requests.acme",
        "globex.runs",
    ]
    assert len({each["lagThreshold"] for each in triggers}) == 1


def test_a_second_cluster_takes_the_requests_of_its_doors(helm: Helm) -> None:
    rendered = helm.rendered(Path("helm/sluice/ci/second-cluster-values.yaml"))
    given = environment_of(rendered, "dispatcher")
    [scaled] = rendered.of("ScaledObject")
    topics = [each["metadata"]["topic"] for each in scaled["spec"]["triggers"]]
    assert topics == ["globex.runs", "sluice.requests.umbrella"]
    assert given["SLUICE_DISPATCH__CLUSTER"] == "west"
    assert given["SLUICE_WORKFLOWS__INSTANCE_IDS"] == '["a","b"]'
    assert rendered.workload("gateway")["spec"]["replicas"] == 0


@pytest.mark.parametrize(
    ("gateway", "expected"), [("replicas: 0", False), ("autoscaling: {enabled: true}", True)]
)
def test_a_release_without_a_gateway_misses_none(
    helm: Helm, tmp_path: Path, gateway: str, expected: bool
) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(
        f"gateway: {{{gateway}}}\nsmokeTest: {{apiKeySecret: key}}\n"
        "monitoring: {prometheusRule: {enabled: true}}\n"
    )
    rendered = helm.rendered(values)
    [rule] = rendered.of("PrometheusRule")
    alerts = {each["alert"] for group in rule["spec"]["groups"] for each in group["rules"]}
    assert ("SluiceGatewayAbsent" in alerts) == expected
    assert "SluiceDispatcherAbsent" in alerts
    jobs = {each["metadata"]["name"].rpartition("-smoke-")[2] for each in rendered.of("Job")}
    assert ("test" in jobs) == expected


def test_limits_reach_the_dispatcher_without_new_pods(everything: Rendered) -> None:
    file = environment_of(everything, "dispatcher")["SLUICE_DISPATCH__LIMITS_FILE"]
    [given] = [
        each for each in everything.of("ConfigMap") if each["metadata"]["name"].endswith("-limits")
    ]
    limits = read_yaml(given["data"][Path(file).name].encode(), Limits, source=file)
    assert limits.of_tenant("acme") == TenantLimits(weight=3, live=100)
    assert limits.of_tenant("other").live == 20
    pod = everything.workload("dispatcher")["spec"]["template"]["spec"]
    mounts = {each["name"]: each["mountPath"] for each in pod["containers"][0]["volumeMounts"]}
    assert mounts["limits"] == str(Path(file).parent)
    volume = {each["name"]: each for each in pod["volumes"]}["limits"]
    assert volume["configMap"]["name"] == given["metadata"]["name"]


def test_limits_are_shown_by_the_gateway(everything: Rendered) -> None:
    shown = environment_of(everything, "gateway")["SLUICE_WORKFLOWS__LIMITS_FILE"]
    assert shown == environment_of(everything, "dispatcher")["SLUICE_DISPATCH__LIMITS_FILE"]
    pods = [
        everything.workload(name)["spec"]["template"]["spec"] for name in ("gateway", "dispatcher")
    ]
    volumes = [{each["name"]: each for each in pod["volumes"]}["limits"] for pod in pods]
    assert volumes[0] == volumes[1]
    mounts = [
        {each["name"]: each for each in pod["containers"][0]["volumeMounts"]}["limits"]
        for pod in pods
    ]
    assert mounts[0] == mounts[1]


def test_limits_of_one_cluster_are_not_shown_with_the_runs_of_several(
    helm: Helm, tmp_path: Path
) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(
        "dispatcher: {limits: {live: 5}}\n"
        "kafka: {doors: [{name: acme, tenants: [acme], cluster: east}]}\n"
    )
    rendered = helm.rendered(values)
    assert "SLUICE_WORKFLOWS__LIMITS_FILE" not in environment_of(rendered, "gateway")
    assert "SLUICE_DISPATCH__LIMITS_FILE" in environment_of(rendered, "dispatcher")


def slot_roles(rendered: Rendered) -> list[Json]:
    return [each for each in rendered.of("Role") if each["metadata"]["name"].endswith("-slots")]


def test_leases_of_slots_are_for_workflows_that_limit_a_key(
    helm: Helm, everything: Rendered, tmp_path: Path
) -> None:
    [role] = slot_roles(everything)
    assert role["metadata"]["namespace"] == "runs"
    [rule] = role["rules"]
    assert rule["resources"] == ["leases"]
    for given, roles in (("{}", 0), ("{slotLeases: true}", 1)):
        values = tmp_path / f"{roles}.yaml"
        values.write_text(
            f"kafka: {{bootstrapServers: kafka:9092}}\ndispatcher: {given}\n", encoding="utf-8"
        )
        assert len(slot_roles(helm.rendered(values))) == roles


@pytest.mark.parametrize("service", ["gateway", "dispatcher"])
def test_both_read_the_same_catalogue(everything: Rendered, service: str, tmp_path: Path) -> None:
    file = environment_of(everything, service)["SLUICE_WORKFLOWS__CATALOGUE_FILE"]
    written = tmp_path / "catalogue.yaml"
    written.write_text(mounted_files(everything, service)[file.removeprefix(CONFIG)], "utf-8")
    catalogue = load_catalogue(file=written, entry_points=EntryPoints())
    assert {"hello", "nightly-report"} <= {entry.name for entry in catalogue}


DIGEST = f"sha256:{64 * '0'}"
OTHER = f"sha256:{64 * '1'}"
RELEASED = f"image: {{tag: a, digests: {{gateway: '{DIGEST}'}}}}\n"


@pytest.mark.parametrize(
    ("values", "image"),
    [
        ("{}", "example.invalid/sluice/sluice-gateway:0.1.0"),
        ("image: {tag: a}", "example.invalid/sluice/sluice-gateway:a"),
        (RELEASED, f"example.invalid/sluice/sluice-gateway:a@{DIGEST}"),
        (
            f"image: {{digests: {{gateway: '{DIGEST}'}}}}",
            f"example.invalid/sluice/sluice-gateway@{DIGEST}",
        ),
        (
            f"image: {{tag: a, digests: {{dispatcher: '{DIGEST}'}}}}",
            "example.invalid/sluice/sluice-gateway:a",
        ),
        (
            RELEASED + f"gateway: {{image: {{digest: '{OTHER}'}}}}",
            f"example.invalid/sluice/sluice-gateway@{OTHER}",
        ),
        (
            RELEASED + "gateway: {image: {tag: b}}",
            "example.invalid/sluice/sluice-gateway:b",
        ),
    ],
)
def test_an_image_is_named_by_the_digest_of_its_release(
    values: str, image: str, helm: Helm, tmp_path: Path
) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(values, "utf-8")
    assert helm.rendered(file).container("gateway")["image"] == image


@pytest.mark.parametrize("service", SERVICES)
def test_the_ports_are_those_of_the_image(rendered: Rendered, service: str) -> None:
    dockerfile = Path("Dockerfile").read_text(encoding="utf-8")
    stage = dockerfile.partition(f"\nFROM service AS {service}\n")[2].partition("\nFROM ")[0]
    [exposed] = re.findall(r"^EXPOSE (.+)$", stage, re.MULTILINE)
    container = rendered.container(service)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert sorted(ports.values()) == sorted(int(port) for port in exposed.split())
    env = environment_of(rendered, service)
    assert env["SLUICE_HEALTH__PORT"] == str(ports["health"])
    assert env.get("SLUICE_HTTP__PORT") == (str(ports["http"]) if "http" in ports else None)
    for probe, path in (("startup", "/livez"), ("liveness", "/livez"), ("readiness", "/readyz")):
        assert container[f"{probe}Probe"]["httpGet"] == {"path": path, "port": "health"}


@pytest.mark.parametrize(
    ("values", "name", "others"),
    [
        ("default", "sluice-gateway", set()),
        (
            "everything",
            "runs-gateway",
            {
                "runs.example.com",
                "runs.example.org",
                "sign-in.example.net",
                "gateway.example.internal",
                "*.runs.example.net",
            },
        ),
        ("gateway-api", "sluice-gateway", {"runs.example.com"}),
        ("ingress", "sluice-gateway", {"*"}),
    ],
)
def test_the_gateway_knows_by_what_names_it_is_reached(
    helm: Helm,
    values: str,
    name: str,
    others: set[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = settings_of(named(helm, values), "gateway", tmp_path, monkeypatch)
    by_service = {name + end for end in ("", ".sluice", ".sluice.svc", ".sluice.svc.cluster.local")}
    assert set(settings.http.allowed_hosts) == by_service | others


def test_the_smoke_test_asks_by_a_name_that_the_gateway_knows(rendered: Rendered) -> None:
    known = environment_of(rendered, "gateway")["SLUICE_HTTP__ALLOWED_HOSTS"].split(",")
    for name, pod in rendered.pods():
        if name.endswith("-smoke-test"):
            url = pod["spec"]["containers"][0]["args"][0]
            assert urlsplit(url).hostname in known


def test_only_what_keeps_its_name_says_it_to_kafka(rendered: Rendered) -> None:
    """A static member that comes back under another name is a second one."""
    env = {each["name"]: each for each in rendered.container("dispatcher")["env"]}
    name = {"fieldRef": {"fieldPath": "metadata.name"}}
    assert env["SLUICE_KAFKA__INSTANCE_ID"]["valueFrom"] == name
    assert rendered.workload("dispatcher")["kind"] == "StatefulSet"
    assert "SLUICE_KAFKA__INSTANCE_ID" not in environment_of(rendered, "gateway")


def test_keda_looks_where_the_dispatcher_reads(rendered: Rendered) -> None:
    env = environment_of(rendered, "dispatcher")
    doors = TypeAdapter(list[Door]).validate_json(env.get("SLUICE_KAFKA__DOORS", "[]"))
    sets = TopicSets(TopicNames(requests=env["SLUICE_KAFKA__TOPICS__REQUESTS"]), doors)
    for scaled in rendered.of("ScaledObject"):
        triggers = [trigger["metadata"] for trigger in scaled["spec"]["triggers"]]
        topics = sets.requests_of(env.get("SLUICE_DISPATCH__CLUSTER"))
        assert [looks["topic"] for looks in triggers] == list(topics)
        for looks in triggers:
            assert_it_looks_as(env, looks)
        assert scaled["spec"]["maxReplicaCount"] <= int(env["SLUICE_KAFKA__PARTITIONS"])


def assert_it_looks_as(env: dict[str, str], looks: dict[str, str]) -> None:
    """KEDA reaches the brokers as the dispatcher with these variables does."""
    assert all(isinstance(value, str) for value in looks.values())
    cluster = env.get("SLUICE_DISPATCH__CLUSTER")
    dispatch = DispatchSettings(group=env["SLUICE_DISPATCH__GROUP"], cluster=cluster)
    assert looks["consumerGroup"] == dispatch.consumer_group
    # KEDA resolves a name from its own namespace.
    servers = env["SLUICE_KAFKA__BOOTSTRAP_SERVERS"].split(",")
    assert looks["bootstrapServers"].split(",") == [
        server if "." in server else server.replace(":", f".{NAMESPACE}.svc:") for server in servers
    ]
    protocol = env["SLUICE_KAFKA__SECURITY_PROTOCOL"]
    assert (looks["tls"] == "enable") == protocol.endswith("SSL")
    assert ("sasl" in looks) == protocol.startswith("SASL")


@pytest.mark.parametrize("service", SERVICES)
def test_files_for_kafka_are_mounted_where_the_service_looks(
    rendered: Rendered, service: str
) -> None:
    named = {
        value
        for name, value in environment_of(rendered, service).items()
        if name.startswith("SLUICE_KAFKA__") and name.endswith("_FILE")
    }
    assert named == {f"/etc/sluice/kafka/{path}" for path in kafka_files(rendered, service)}


def kafka_files(rendered: Rendered, service: str) -> dict[str, Json]:
    """Give what is mounted for the way to Kafka, by path, as its source says it."""
    return files_in(rendered, service, "kafka")


def files_in(rendered: Rendered, service: str, name: str) -> dict[str, Json]:
    """Give what is mounted as the volume of that name, by path, as its source says it."""
    found: dict[str, Json] = {}
    for volume in rendered.workload(service)["spec"]["template"]["spec"].get("volumes", []):
        for source in volume["projected"]["sources"] if volume["name"] == name else []:
            if "serviceAccountToken" in source:
                found[source["serviceAccountToken"]["path"]] = source["serviceAccountToken"]
            else:
                for item in source["secret"]["items"]:
                    found[item["path"]] = {"secret": source["secret"]["name"], "key": item["key"]}
    return found


def named(helm: Helm, name: str) -> Rendered:
    return helm.rendered(CHART / f"ci/{name}-values.yaml")


@pytest.mark.parametrize("service", SERVICES)
def test_strimzis_users_with_certificates_are_the_services(helm: Helm, service: str) -> None:
    user = f"sluice-{service}"
    assert kafka_files(named(helm, "strimzi-tls"), service) == {
        "ca.crt": {"secret": "sluice-cluster-ca-cert", "key": "ca.crt"},
        "tls.crt": {"secret": user, "key": "user.crt"},
        "tls.key": {"secret": user, "key": "user.key"},
    }


@pytest.mark.parametrize("service", SERVICES)
def test_a_certificate_of_ones_own_is_shown_by_all(helm: Helm, service: str) -> None:
    assert kafka_files(named(helm, "mtls"), service) == {
        "ca.crt": {"secret": "kafka-ca", "key": "ca.crt"},
        "tls.crt": {"secret": "sluice-kafka", "key": "client.pem"},
        "tls.key": {"secret": "sluice-kafka", "key": "client-key.pem"},
    }


@pytest.mark.parametrize("service", SERVICES)
def test_a_token_is_for_kafka_alone(helm: Helm, service: str) -> None:
    assert kafka_files(named(helm, "oauthbearer"), service) == {
        "token": {"path": "token", "audience": "kafka", "expirationSeconds": 1200}
    }


def test_only_the_gateway_gets_what_the_database_wants(helm: Helm) -> None:
    files = {
        service: files_in(named(helm, "postgres"), service, "postgres") for service in SERVICES
    }
    assert files == {
        "gateway": {
            "password": {"secret": "sluice-db-app", "key": "pgpass"},
            "ca.crt": {"secret": "sluice-db-ca", "key": "root.crt"},
        },
        "dispatcher": {},
        "status-watcher": {},
    }
    environment = environment_of(named(helm, "postgres"), "gateway")
    for name, path in (("PASSWORD_FILE", "password"), ("CA_FILE", "ca.crt")):
        assert environment[f"SLUICE_STORE__POSTGRES__{name}"] == f"/etc/sluice/postgres/{path}"


def test_a_password_of_the_database_can_come_from_a_store_of_secrets(helm: Helm) -> None:
    assert named(helm, "postgres").of("ExternalSecret") == []
    rendered = named(helm, "rds-password")
    brought = rendered.one("ExternalSecret", "sluice-database")["spec"]
    assert brought["target"] == {"name": "sluice-database"}
    assert brought["data"] == [
        {
            "secretKey": "password",
            "remoteRef": {
                "key": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:"
                "rds!db-0a1b2c3d-AbCdEf",
                "property": "secret",
            },
        }
    ]
    assert files_in(rendered, "gateway", "postgres") == {
        "password": {"secret": "sluice-database", "key": "password"}
    }


def test_only_the_gateway_gets_the_authorities_of_the_database(helm: Helm) -> None:
    rendered = named(helm, "rds-password")
    environment = environment_of(rendered, "gateway")
    file = environment["SLUICE_STORE__POSTGRES__CA_FILE"]
    assert file == "/etc/sluice/config/postgres-ca.crt"
    [content] = rendered.one("ConfigMap", "sluice")["data"].values()
    assert content.startswith("-----BEGIN CERTIFICATE-----\n")
    for service in SERVICES:
        pod = rendered.workload(service)["spec"]["template"]["spec"]
        [mounts] = [container.get("volumeMounts", []) for container in pod["containers"]]
        mounted = {mount["mountPath"] for mount in mounts}
        assert ("/etc/sluice/config" in mounted) == (service == "gateway")


def test_only_the_gateway_reaches_the_database(helm: Helm) -> None:
    assert not [
        policy
        for policy in named(helm, "default").of("NetworkPolicy")
        if policy["metadata"]["name"].endswith("-postgres")
    ]
    policy = named(helm, "postgres").one("NetworkPolicy", "sluice-postgres")
    assert policy["spec"]["podSelector"]["matchExpressions"][0]["values"] == ["gateway"]
    [rule] = policy["spec"]["egress"]
    assert rule["ports"] == [{"port": 5433, "protocol": "TCP"}]
    assert rule["to"][0]["podSelector"] == {"matchLabels": {"cnpg.io/cluster": "sluice-db"}}


def test_keda_shows_what_the_dispatcher_does(helm: Helm) -> None:
    def shown(name: str) -> Json:
        spec: Json = named(helm, name).one("TriggerAuthentication", "sluice-dispatcher")["spec"]
        return spec

    for name in ("mtls", "strimzi-tls"):
        secrets = shown(name).pop("secretTargetRef")
        files = kafka_files(named(helm, name), "dispatcher")
        assert {each["parameter"]: (each["name"], each["key"]) for each in secrets} == {
            parameter: (files[path]["secret"], files[path]["key"])
            for parameter, path in (("ca", "ca.crt"), ("cert", "tls.crt"), ("key", "tls.key"))
        }
    assert shown("msk") == {"podIdentity": {"provider": "aws"}}
    scaled = named(helm, "msk").one("ScaledObject", "sluice-dispatcher")
    [trigger] = scaled["spec"]["triggers"]
    assert trigger["authenticationRef"] == {"name": "sluice-dispatcher"}
    assert (
        trigger["metadata"].items()
        >= {
            "tls": "enable",
            "sasl": "oauthbearer",
            "saslTokenProvider": "aws_msk_iam",
            "awsRegion": "eu-central-1",
        }.items()
    )


def test_the_agent_of_pod_identity_is_reachable_at_aws(helm: Helm) -> None:
    policies = {
        name: [
            policy["spec"]
            for policy in named(helm, name).of("NetworkPolicy")
            if "169.254.170.23/32" in str(policy)
        ]
        for name in ("msk", "oauthbearer", "default", "postgres", "rds")
    }
    assert policies["postgres"] == []
    [policy] = policies["rds"]
    assert policy["podSelector"]["matchExpressions"][0]["values"] == ["gateway"]
    assert policies["oauthbearer"] == policies["default"] == []
    [policy] = policies["msk"]
    [components] = policy["podSelector"]["matchExpressions"]
    assert components["values"] == list(SERVICES)
    [rule] = policy["egress"]
    assert rule["ports"] == [{"port": 80, "protocol": "TCP"}]


def test_topics_and_group_are_those_of_the_contract(default: Rendered) -> None:
    for service in SERVICES:
        env = environment_of(default, service)
        for topic, name in TopicNames().model_dump().items():
            assert env[f"SLUICE_KAFKA__TOPICS__{topic.upper()}"] == name


def test_the_chart_grants_what_the_testbed_grants(helm: Helm) -> None:
    """And what the tests of a real API server look at, with all that can be on there."""
    chart = named(helm, "log-relay")

    def granted(objects: list[Json]) -> set[str]:
        return {
            yaml.safe_dump(simplified(each))
            for each in objects
            if each["kind"]
            in {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
            or each.get("type") == "kubernetes.io/service-account-token"
        }

    def simplified(each: Json) -> Json:
        # Names of the cluster's objects contain the release; only their bindings refer to them.
        local = () if each["kind"].startswith("Cluster") else ("name", "namespace", "roleRef")
        kept = ("kind", "rules", "subjects", "type", "annotations", *local)
        return {name: value for name, value in (each["metadata"] | each).items() if name in kept}

    testbed = [*sluice_manifests(rules=RULES), *namespace_manifests("argo", rules=RULES)]
    gateway = chart.one("ServiceAccount", "sluice-gateway")
    hooks = [each for each in chart.objects if HOOK in each["metadata"].get("annotations", {})]
    rest = [each for each in chart.objects if each is not gateway and each not in hooks]
    assert granted(rest) == granted(testbed)


def test_bindings_name_roles_and_accounts_that_are_there(rendered: Rendered) -> None:
    names = {(each["kind"], each["metadata"]["name"]) for each in rendered.objects}
    accounts = {
        rendered.workload(service)["spec"]["template"]["spec"]["serviceAccountName"]
        for service in SERVICES
    } | {each["metadata"]["name"] for each in rendered.of("ServiceAccount")}
    for binding in rendered.of("RoleBinding", "ClusterRoleBinding"):
        assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) in names
        assert {subject["name"] for subject in binding["subjects"]} <= accounts


def test_admission_knows_the_marks(rendered: Rendered) -> None:
    """Every mark that it asks for is one of ours, and it asks for all that a new Workflow has."""
    environment = environment_of(rendered, "dispatcher")
    for policy in rendered.of("ValidatingAdmissionPolicy"):
        if policy["metadata"]["name"].endswith("-images"):
            continue
        text = yaml.safe_dump(policy["spec"], width=10_000)
        marks = set(re.findall(r"sluice\.dev/[a-z-]+", text))
        if "-dispatcher" in policy["metadata"]["name"]:
            assert marks == {
                metadata.TENANT,
                metadata.WORKFLOW,
                metadata.RUN_ID,
                metadata.FINGERPRINT,
                metadata.REQUEST,
                metadata.TRACEPARENT,
                metadata.FINALIZER,
            }
            assert f"'{metadata.MANAGED_BY}'" in text.replace("''", "'")
            assert environment["SLUICE_WORKFLOWS__SERVICE_ACCOUNT"] in text
            [name] = re.findall(r"matches\('+(\^[^']+)'+\)", text)
            assert re.fullmatch(name, workflow_name(RunKey(tenant="default", run_id="order-4711")))
        else:
            assert marks == {metadata.ATTEMPT, metadata.OUTCOME_CLAIM, metadata.PUBLISHED}
        # What is forbidden is tried again; what is invalid would end a run.
        assert {rule["reason"] for rule in policy["spec"]["validations"]} == {"Forbidden"}
        [condition] = policy["spec"]["matchConditions"]
        users = {
            f"system:serviceaccount:{NAMESPACE}:"
            + rendered.workload(service)["spec"]["template"]["spec"]["serviceAccountName"]
            for service in ("dispatcher", "status-watcher")
        }
        assert condition["expression"].partition(" == ")[2].strip("'") in users


def test_a_change_of_the_catalogue_makes_new_pods(default: Rendered, everything: Rendered) -> None:
    def checksum(rendered: Rendered, service: str) -> str:
        annotations: dict[str, str] = rendered.workload(service)["spec"]["template"]["metadata"][
            "annotations"
        ]
        return annotations["checksum/config"]

    for service in SERVICES:
        assert checksum(default, service) != checksum(everything, service)
    assert checksum(everything, "gateway") != checksum(everything, "dispatcher")


def test_the_versions_are_those_of_the_project() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = Path("pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{chart["appVersion"]}"' in project


def margin(rendered: Rendered, service: str) -> dict[str, str]:
    """Give a service's variables for the margin between an outcome and its Workflow's end."""
    return {
        name: value
        for name, value in environment_of(rendered, service).items()
        if name.startswith("SLUICE_DEDUPE__")
    }


def test_dispatcher_and_status_watcher_agree_on_the_margin(helm: Helm) -> None:
    rendered = helm.rendered(CHART / "ci/everything-values.yaml")
    assert margin(rendered, "dispatcher") == {
        "SLUICE_DEDUPE__LEDGER_FRESHNESS": "4s",
        "SLUICE_DEDUPE__CREATE_TIMEOUT": "20s",
        "SLUICE_DEDUPE__RELEASE_AFTER": "90s",
    }
    assert margin(rendered, "status-watcher") == margin(rendered, "dispatcher")
    assert margin(rendered, "gateway") == {}


def test_the_charts_margin_is_the_services_own(
    helm: Helm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered = helm.rendered(CHART / "ci/default-values.yaml")
    for service in ("dispatcher", "status-watcher"):
        settings = settings_of(rendered, service, tmp_path, monkeypatch)
        assert settings.dedupe == DedupeSettings()
