"""A stack's choices are checked before anything is made, and the key at fault is named."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from sluice_infra.node_settings import architecture_of
from sluice_infra.settings import (
    SECRETS,
    Settings,
    SettingsError,
    read_settings,
)
from tests.pulumi.declared import STACKS, changed, choices_of, ours

GROUP = {"instanceTypes": ["t3.large"], "desiredSize": 1}
MANAGED = {"mode": "managed", "services": GROUP, "workflows": GROUP}


def test_values_come_as_pulumi_hands_them_over() -> None:
    settings = read_settings(
        {
            "aws:region": "eu-central-1",
            "sluice:environment": "dev",
            "sluice:owner": "me",
            "sluice:protect": "true",
            "sluice:network": '{"nat": "perZone", "zones": ["a", "b", "d"]}',
            "sluice:nodes": '{"mode": "auto"}',
            "sluice:repositoryPassword": "s3cret",
        }
    )
    assert settings.protect is True
    assert settings.network.nat == "perZone"
    assert settings.network.zones == ("a", "b", "d")


@pytest.mark.parametrize("stack", STACKS)
def test_every_stack_s_file_has_known_keys_and_right_values(stack: str) -> None:
    read_settings(choices_of(stack))
    known = {f"sluice:{field.alias}" for field in Settings.model_fields.values()}
    secrets = {f"sluice:{name}" for name in SECRETS}
    assert set(choices_of(stack)) - known - secrets == {"aws:region"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "sluice:colour: Extra inputs are not permitted"),
        ({"owner": None}, "sluice:owner: Field required"),
        ({"environment": "production"}, "sluice:environment: Input should be 'dev', 'staging'"),
        ({"network.nat": "two"}, "sluice:network.nat: Input should be 'single' or 'perZone'"),
        ({"network.nats": "none"}, "sluice:network.nats: Extra inputs"),
        ({"network.zones": ["a", "b"]}, "sluice:network.zones"),
        ({"network.zones": ["a", "b", "b"]}, "sluice:network: zones have to differ"),
        ({"network.cidr": "10.0.0.0/24"}, "sluice:network: cidr has to be an IPv4 network"),
        ({"network.nat": "none"}, "sluice:network.nat: Input should be 'single' or 'perZone'"),
        ({"cluster.publicCidrs": ["somewhere"]}, "sluice:cluster.publicCidrs[0]"),
        ({"cluster.publicCidrs": ["0.0.0.0/0"]}, "sluice:cluster: publicCidrs lets everybody in"),
        ({"cluster.publicCidrs": ["::/0"]}, "sluice:cluster: publicCidrs lets everybody in"),
        ({"cluster.admins": ["me"]}, "sluice:cluster.admins[0]"),
        (
            {"cluster.addonVersions": {"corends": "v1.0.0-eksbuild.1"}},
            "cluster.addonVersions.corends",
        ),
        (
            {"cluster.addonVersions": {"coredns": "1.12"}},
            "sluice:cluster.addonVersions.coredns: Str",
        ),
        ({"nodes": {"mode": "managed"}}, "sluice:nodes: mode managed needs services and workflows"),
        ({"nodes": {**MANAGED, "mode": "auto"}}, "sluice:nodes: mode auto has no node groups"),
        ({"nodes": {**MANAGED, "nodePool": {}}}, "sluice:nodes: mode managed has no nodePool"),
        (
            {"nodes": {**MANAGED, "services": {"instanceTypes": ["m7g.large", "m7i.large"]}}},
            "sluice:nodes.services.desiredSize: Field required",
        ),
        (
            {
                "nodes": {
                    **MANAGED,
                    "services": {**GROUP, "instanceTypes": ["m7g.large", "m5.large"]},
                }
            },
            "sluice:nodes.services: instanceTypes mixes arm64 and amd64",
        ),
        ({"nodes.nodePool.cpuLimit": 0}, "sluice:nodes.nodePool.cpuLimit: Input should be greater"),
        ({"nodes.nodePool.capacityTypes": []}, "sluice:nodes.nodePool.capacityTypes: Tuple should"),
        ({"nodes.nodePool.architectures": ["riscv64"]}, "sluice:nodes.nodePool.architectures[0]"),
        ({"nodes": MANAGED, "dns": {"domain": "a.example"}}, "dns needs nodes.mode auto"),
        ({"kafka": {"snapshotHours": 5}}, "sluice:kafka.snapshotHours: Input should be 1, 2, 3"),
        (
            {"kafka": {"mode": "msk", "snapshotHours": 1}},
            "kafka.snapshotHours is for Strimzi's volumes",
        ),
        ({"kafka": {"mode": "redpanda"}}, "sluice:kafka.mode: Input should be 'strimzi' or 'msk'"),
        ({"database": {}}, "sluice:database.authentication: Field required"),
        ({"database.authentication": "trust"}, "sluice:database.authentication: Input should be"),
        (
            {"database": {"authentication": "iam", "backupDays": 0}},
            "sluice:database.backupDays: Input should be greater than or equal to 1",
        ),
        (
            {"database": {"authentication": "iam", "engineVersion": "12"}},
            "sluice:database.engineVersion: Input should be '16', '17' or '18'",
        ),
        (
            {"database": {"authentication": "iam", "instance": "m7g.large"}},
            "sluice:database.instance: String should match pattern",
        ),
        (
            {"database": {"authentication": "iam", "diskGib": 100, "maxDiskGib": 109}},
            "sluice:database: maxDiskGib has to be at least 1.1 times diskGib",
        ),
        (
            {"database": {"authentication": "password", "granted": True}},
            "sluice:database: granted is for authentication iam",
        ),
        (
            {
                "iam": {"existingRoleArn": "arn:aws:iam::1:role/r"},
                "nodes": MANAGED,
                "database": {"authentication": "iam"},
            },
            "database.authentication iam needs a role of the gateway's own",
        ),
        ({"dns": {"domain": "localhost"}}, "sluice:dns.domain"),
        ({"registry": {"keepImages": 50}}, "sluice:registry.keepImages: Extra inputs"),
        ({"registry": {"account": "444455556666"}}, "sluice:registry: create makes repositories"),
        ({"registry": {"create": False, "readers": ["444455556666"]}}, "readers belong to the st"),
        ({"registry": {"readers": ["me"]}}, "sluice:registry.readers[0]: String should match"),
        ({"github": {"repository": "sluice"}}, "sluice:github.repository: String should match"),
        ({"github": {"repository": "octo/*"}}, "sluice:github.repository: String should match"),
        (
            {"github": {"repository": "o/r"}, "registry": {"create": False}},
            "github belongs to the stack with registry.create",
        ),
        (
            {
                "github": {"repository": "o/r"},
                "iam": {"existingRoleArn": "arn:aws:iam::1:role/r"},
                "nodes": MANAGED,
            },
            "github needs a role of its own",
        ),
        ({"environment": "prod"}, "environment prod needs protect"),
        ({"environment": "staging"}, "environment staging needs cluster.admins: ARNs of the IAM"),
        (
            {"environment": "prod", "protect": True, "cluster.admins": ["arn:aws:iam::1:role/r"]},
            "environment prod has cluster.publicCidrs only with publicUntil",
        ),
        ({"budget": {"monthlyDollars": 9, "emails": []}}, "sluice:budget.emails: Tuple should"),
        ({"cluster.publicUntil": "soon"}, "sluice:cluster.publicUntil: Input should be a valid d"),
        (
            {"iam": {"existingRoleArn": "arn:aws:iam::1:role/r"}, "kafka": {"mode": "msk"}},
            "iam.existingRoleArn has no rights for Auto Mode or MSK",
        ),
        (
            {
                "iam": {"existingRoleArn": "arn:aws:iam::1:role/r"},
                "nodes": MANAGED,
                "kafka": {"snapshotHours": 1},
            },
            "kafka.snapshotHours is for Strimzi's volumes, by a role of our own",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_choice_is_reported_with_its_key(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read_settings(changed(ours("dev"), changes))
    assert message in str(raised.value)


def test_a_stack_that_says_nothing_of_nodes_has_auto_mode() -> None:
    settings = read_settings(changed(ours("dev"), {"nodes": None}))
    assert settings.nodes.mode == "auto"


@pytest.mark.parametrize(
    ("instance_type", "architecture"),
    [
        *((each, "amd64") for each in ("t3.large", "t3a.large", "m6i.xlarge", "m7i-flex.large")),
        *((each, "amd64") for each in ("c6in.large", "r5dn.large", "g5.xlarge", "g4dn.xlarge")),
        *((each, "arm64") for each in ("t4g.medium", "m7g.large", "m6gd.large", "c7gn.xlarge")),
        *((each, "arm64") for each in ("r8g.large", "im4gn.large", "is4gen.large", "g5g.xlarge")),
        *((each, "arm64") for each in ("x2gd.large", "i4g.large", "hpc7g.4xlarge", "a1.large")),
    ],
)
def test_an_instance_type_says_its_architecture(instance_type: str, architecture: str) -> None:
    assert architecture_of(instance_type) == architecture


def test_all_faults_are_reported_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        read_settings(changed(ours("dev"), {"colour": "red", "owner": "", "network.nat": "2"}))
    assert len(str(raised.value).splitlines()) == 4


def test_secrets_are_not_among_the_settings() -> None:
    assert not {field.alias for field in Settings.model_fields.values()} & SECRETS


def _groups(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _groups(field.annotation)


def test_every_setting_is_described() -> None:
    groups = list(_groups(Settings))
    assert len(groups) > 5
    for group in groups:
        assert group.__doc__
        for name, field in group.model_fields.items():
            nested = field.annotation in groups
            assert nested or field.description, f"{group.__name__}.{name}"
