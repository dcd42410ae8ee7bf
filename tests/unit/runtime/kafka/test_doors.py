"""The settings of topic sets and of signatures: checked as a whole when they are loaded."""

import traceback
from pathlib import Path

import pytest
from pydantic import ValidationError

from sluice_contracts.signatures import new_secret
from sluice_contracts.topic_sets import Door
from sluice_contracts.topics import TopicNames
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.kafka.tenant_files import TenantFileError
from sluice_runtime.settings import ServiceSettings, SettingsError, load_settings


class Settings(ServiceSettings):
    """A service's settings."""

    kafka: KafkaSettings = KafkaSettings()


def test_without_doors_there_is_one_set() -> None:
    assert [each.name for each in KafkaSettings().topic_sets] == [""]


def test_doors_in_a_variable_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "SLUICE_KAFKA__DOORS", '[{"name": "acme", "tenants": ["acme", "acme-test"]}]'
    )
    kafka = load_settings(Settings).kafka
    assert kafka.doors == (Door(name="acme", tenants=("acme", "acme-test")),)
    assert kafka.topic_sets.of_tenant("acme-test").topics.status == "sluice.status.acme"


def test_doors_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "doors.yaml"
    file.write_text("doors:\n  - {name: acme, tenants: [acme], topics: {dlq: dead}}\n")
    monkeypatch.setenv("SLUICE_KAFKA__DOORS_FILE", str(file))
    kafka = load_settings(Settings).kafka
    assert kafka.topic_sets.of_tenant("acme").topics.dlq == "dead"
    file.unlink()
    renamed = kafka.model_copy(update={"topics": TopicNames(status="states")})
    assert renamed.topic_sets.of_tenant("acme").topics.status == "states.acme"
    assert renamed.topic_sets.of_tenant("acme").topics.dlq == "dead"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("doors: [", "is not readable YAML (line 1)"),
        ("doors: [{name: a}]", "doors.0.tenants: Field required"),
        ("[]", "the document: "),
        ("doors: []\nother: 1", "other: Extra inputs are not permitted"),
        (
            "doors: [{name: a, tenants: [x]}, {name: b, tenants: [x]}]",
            "doors.1.tenants.0: tenant 'x' has door 'a' already.",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    file = tmp_path / "doors.yaml"
    file.write_text(text)
    monkeypatch.setenv("SLUICE_KAFKA__DOORS_FILE", str(file))
    with pytest.raises(SettingsError) as refused:
        load_settings(Settings)
    assert message in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"doors_file: .* cannot be read: No such file"):
        KafkaSettings(doors_file=tmp_path / "none.yaml")


def test_a_name_that_no_topic_can_have_is_refused() -> None:
    with pytest.raises(ValidationError, match="'not a topic' is not a name of a topic"):
        KafkaSettings(topics=TopicNames(requests="not a topic"))


def test_doors_come_from_one_place(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="only one of them can be given"):
        KafkaSettings(doors=(Door(name="a", tenants=("a",)),), doors_file=tmp_path / "doors.yaml")


def test_signing_keys_come_from_a_file(tmp_path: Path) -> None:
    assert KafkaSettings().signing_keys is None
    file, secret = tmp_path / "keys.yaml", new_secret()
    file.write_text(
        f"keys: [{{tenant: acme, secret: '{secret}'}}, {{tenant: '*', secret: '{secret}'}}]"
    )
    kafka = KafkaSettings(signing_keys_file=file)
    assert kafka.signing_keys is not None
    assert [key.tenant for key in kafka.signing_keys.keys] == ["acme", "*"]
    assert secret not in repr(kafka)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("keys: [{tenant: acme, secret: abcdef}]", "keys.0.secret: Must be whsec_ and 24 to 64"),
        ("keys: [{tenant: Acme, secret: abcdef}]", "keys.0.tenant"),
        ("keys: abcdef: g", "is not readable YAML (line 1)"),
    ],
)
def test_wrong_signing_keys_are_refused_without_being_shown(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text(text)
    # The file is read when a service starts, and not by a program that looks at its settings.
    kafka = KafkaSettings(signing_keys_file=file)
    with pytest.raises(TenantFileError) as refused:
        kafka.origins  # noqa: B018
    assert message in str(refused.value)
    assert "abcdef" not in "".join(traceback.format_exception(refused.value))
