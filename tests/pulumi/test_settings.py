"""A stack's choices are checked before anything is made, and the key at fault is named."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from sluice_infra.settings import SECRETS, Settings, SettingsError, read_settings
from tests.pulumi.declared import STACKS, changed, choices_of


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
    assert set(choices_of(stack)) - known == {"aws:region"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "sluice:colour: Extra inputs are not permitted"),
        ({"owner": None}, "sluice:owner: Field required"),
        ({"environment": "production"}, "sluice:environment: Input should be 'dev', 'staging'"),
        ({"network.nat": "two"}, "sluice:network.nat: Input should be 'single', 'perZone'"),
        ({"network.nats": "none"}, "sluice:network.nats: Extra inputs"),
        ({"network.zones": ["a", "b"]}, "sluice:network.zones"),
        ({"network.zones": ["a", "b", "b"]}, "sluice:network: zones have to differ"),
        ({"network.cidr": "10.0.0.0/24"}, "sluice:network: cidr has to be an IPv4 network"),
        ({"network.nat": "none"}, "nat none needs interfaceEndpoints ec2, ecr.api, ecr.dkr, eks"),
        ({"cluster.publicCidrs": ["somewhere"]}, "sluice:cluster.publicCidrs[0]"),
        ({"cluster.publicCidrs": ["0.0.0.0/0"]}, "sluice:cluster: publicCidrs lets everybody in"),
        ({"cluster.publicCidrs": ["::/0"]}, "sluice:cluster: publicCidrs lets everybody in"),
        ({"cluster.admins": ["me"]}, "sluice:cluster.admins[0]"),
        ({"nodes.services": None}, "sluice:nodes: mode managed needs system, services and"),
        ({"nodes.mode": "auto"}, "sluice:nodes: mode auto has no groups of its own"),
        ({"nodes.system.size": 9}, "sluice:nodes.system: least <= size <= most does not hold"),
        ({"kafka": {"mode": "redpanda"}}, "sluice:kafka.mode: Input should be 'strimzi' or 'msk'"),
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
            {"github": {"repository": "o/r"}, "iam": {"existingRoleArn": "arn:aws:iam::1:role/r"}},
            "github needs a role of its own",
        ),
        ({"environment": "prod"}, "environment prod needs protect"),
        (
            {"iam": {"existingRoleArn": "arn:aws:iam::1:role/r"}, "kafka": {"mode": "msk"}},
            "iam.existingRoleArn has no rights for Auto Mode or MSK",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_choice_is_reported_with_its_key(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read_settings(changed(choices_of("dev"), changes))
    assert message in str(raised.value)


def test_all_faults_are_reported_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        read_settings(
            changed(choices_of("dev"), {"colour": "red", "owner": "", "network.nat": "2"})
        )
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
