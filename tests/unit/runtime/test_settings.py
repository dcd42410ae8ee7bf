"""Settings from the environment and one file; errors name places, but no values."""

import traceback
from datetime import timedelta
from pathlib import Path

import pytest

from sluice_runtime.kafka.settings import KafkaSettings, connection
from sluice_runtime.kubernetes.settings import KubernetesSettings
from sluice_runtime.settings import ServiceSettings, SettingsError, load_settings

SECRET = "correct-horse-battery-staple"


class Settings(ServiceSettings):
    """A service's settings."""

    kafka: KafkaSettings = KafkaSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLUICE_CONFIG", "SLUICE_KAFKA__BOOTSTRAP_SERVERS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "sluice.yaml"
    monkeypatch.setenv("SLUICE_CONFIG", str(file))
    return file


def refused() -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(Settings)
    # With all that led to it, as a crash would show it.
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


def test_the_defaults_are_for_one_machine() -> None:
    settings = load_settings(Settings)
    assert settings.kafka.bootstrap_servers == "127.0.0.1:9092"
    assert settings.health.host == "127.0.0.1"
    assert settings.log.format == "json"
    assert settings.shutdown_grace == timedelta(seconds=20)


def test_variables_reach_every_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_KAFKA__TOPICS__REQUESTS", "my.requests")
    monkeypatch.setenv("SLUICE_KAFKA__REQUEST_TIMEOUT", "500ms")
    monkeypatch.setenv("sluice_log__level", "debug")
    settings = load_settings(Settings)
    assert settings.kafka.topics.requests == "my.requests"
    assert settings.kafka.topics.status == "sluice.status"
    assert settings.kafka.request_timeout == timedelta(milliseconds=500)
    assert settings.log.level == "debug"


def test_the_environment_wins_over_the_file_setting_by_setting(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text("kafka:\n  bootstrap_servers: file:1\n  partitions: 12\nshutdown_grace: 5s\n")
    monkeypatch.setenv("SLUICE_KAFKA__BOOTSTRAP_SERVERS", "variable:2")
    settings = load_settings(Settings)
    assert settings.kafka.bootstrap_servers == "variable:2"
    assert settings.kafka.partitions == 12
    assert settings.shutdown_grace == timedelta(seconds=5)


def test_arguments_have_the_highest_precedence(config: Path) -> None:
    config.write_text("shutdown_grace: 5s")
    assert Settings(shutdown_grace=timedelta(seconds=1)).shutdown_grace == timedelta(seconds=1)


def test_an_empty_file_sets_nothing(config: Path) -> None:
    config.write_text("")
    assert load_settings(Settings) == load_settings(Settings)


def test_a_dot_env_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("SLUICE_SHUTDOWN_GRACE=1s")
    monkeypatch.chdir(tmp_path)
    assert load_settings(Settings).shutdown_grace == timedelta(seconds=20)


def test_each_invalid_setting_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_KAFKA__PARTITIONS", SECRET)
    monkeypatch.setenv("SLUICE_KAFKA__NO_SUCH", SECRET)
    monkeypatch.setenv("SLUICE_SHUTDOWN_GRACE", SECRET)
    number = "Input should be a valid integer, unable to parse string as an integer"
    duration = "Must be a number with a unit, as in 500ms, 10s, 5m, 1h or 7d."
    heading, *settings = refused().splitlines()
    assert heading == "These settings are invalid:"
    assert sorted(settings) == [
        "  kafka.no_such (SLUICE_KAFKA__NO_SUCH): Extra inputs are not permitted",
        f"  kafka.partitions (SLUICE_KAFKA__PARTITIONS): {number}",
        f"  shutdown_grace (SLUICE_SHUTDOWN_GRACE): {duration}",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"kafka: [{SECRET}", "is not readable YAML (line 1)."),
        (f"kafka: *{SECRET}", "is not readable YAML (line 1)."),
        (f"kafka: !{SECRET} 1", "is not readable YAML (line 1)."),
        ("a: 1\n\tb: 2", "is not readable YAML (line 2)."),
        (f"- {SECRET}", "must be a mapping of names to settings."),
        (SECRET, "must be a mapping of names to settings."),
        ("1: 2", "must be a mapping of names to settings."),
        (f"kafka: {SECRET}", "kafka (SLUICE_KAFKA): Input should be a valid dictionary"),
        (f"kafka: {{password: [{SECRET}]}}", "kafka.password (SLUICE_KAFKA__PASSWORD): "),
        (f"unknown: {SECRET}", "unknown (SLUICE_UNKNOWN): Extra inputs are not permitted"),
        ("kafka: {1: 2}", "kafka.1 (SLUICE_KAFKA__1): Keys should be strings"),
    ],
)
def test_an_invalid_file_is_refused(config: Path, text: str, message: str) -> None:
    config.write_text(text)
    assert message in refused()


def test_a_binary_file_is_refused(config: Path) -> None:
    for data in (b"\xff\xfe\x00", b"kafka: \xff", b"\x00"):
        config.write_bytes(data + SECRET.encode())
        assert refused() == f"SLUICE_CONFIG: {config} is not readable YAML."


def test_a_missing_file_is_refused(config: Path) -> None:
    assert refused() == f"SLUICE_CONFIG: {config} is not a file."
    config.mkdir()
    assert refused() == f"SLUICE_CONFIG: {config} is not a file."


def test_a_group_set_whole_must_be_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_KAFKA", '{"partitions": 3}')
    assert load_settings(Settings).kafka.partitions == 3
    monkeypatch.setenv("SLUICE_KAFKA", SECRET)
    assert refused().startswith("A variable that sets a whole group must be JSON: ")


def test_a_password_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_KAFKA__PASSWORD", SECRET)
    settings = load_settings(Settings)
    assert SECRET not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.kafka.password is not None
    assert settings.kafka.password.get_secret_value() == SECRET


def test_settings_are_immutable() -> None:
    settings = load_settings(Settings)
    with pytest.raises(ValueError, match="frozen"):
        settings.shutdown_grace = timedelta()  # type: ignore[misc]


def test_a_plain_connection() -> None:
    settings = KafkaSettings(request_timeout=timedelta(seconds=1.5))
    assert connection(settings, client_id="me") == {
        "bootstrap_servers": "127.0.0.1:9092",
        "client_id": "me",
        "request_timeout_ms": 1500,
        "security_protocol": "PLAINTEXT",
    }


def test_an_authenticated_connection() -> None:
    settings = KafkaSettings.model_validate(
        {"security_protocol": "SASL_SSL", "username": "sluice", "password": SECRET}
    )
    arguments = connection(settings, client_id="me")
    assert arguments["ssl_context"].check_hostname
    assert arguments["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (arguments["sasl_plain_username"], arguments["sasl_plain_password"]) == (
        "sluice",
        SECRET,
    )


def test_an_authenticated_connection_in_the_clear_has_no_tls() -> None:
    settings = KafkaSettings.model_validate(
        {"security_protocol": "SASL_PLAINTEXT", "username": "u", "password": "p"}
    )
    assert "ssl_context" not in connection(settings, client_id="me")


@pytest.mark.parametrize("given", [{}, {"username": "u"}, {"password": "p"}])
def test_credentials_must_be_complete(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="SASL_SSL needs username and password"):
        KafkaSettings.model_validate({"security_protocol": "SASL_SSL", **given})


SASL = {"security_protocol": "SASL_SSL"}
TOKENS = SASL | {"sasl_mechanism": "OAUTHBEARER"}
TLS = {"security_protocol": "SSL"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (TOKENS, "OAUTHBEARER needs token_file, or aws_region for Amazon MSK."),
        (
            TOKENS | {"token_file": "t", "aws_region": "eu-central-1"},
            "OAUTHBEARER uses token_file or aws_region, not both.",
        ),
        (
            TOKENS | {"token_file": "t", "username": "u"},
            "OAUTHBEARER uses tokens, not username and password.",
        ),
        (
            TOKENS | {"token_file": "t", "password": SECRET},
            "OAUTHBEARER uses tokens, not username and password.",
        ),
        (
            TOKENS | {"security_protocol": "SASL_PLAINTEXT", "aws_region": "eu-central-1"},
            "aws_region needs SASL_SSL: Amazon MSK accepts IAM over TLS only.",
        ),
        (
            SASL | {"username": "u", "password": SECRET, "token_file": "t"},
            "token_file and aws_region need a SASL protocol and sasl_mechanism OAUTHBEARER.",
        ),
        (
            TLS | {"sasl_mechanism": "OAUTHBEARER", "aws_region": "eu-central-1"},
            "token_file and aws_region need a SASL protocol and sasl_mechanism OAUTHBEARER.",
        ),
        (
            TLS | {"certificate_file": "c"},
            "certificate_file and key_file go together; key_file is missing.",
        ),
        (
            TLS | {"key_file": "k"},
            "certificate_file and key_file go together; certificate_file is missing.",
        ),
        (
            {"certificate_file": "c", "key_file": "k"},
            "certificate_file and key_file need SSL or SASL_SSL.",
        ),
        (TOKENS | {"aws_region": "eu-central-1/../x"}, "aws_region"),
    ],
)
def test_incomplete_or_contradictory_credentials_are_refused(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], message: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"SLUICE_KAFKA__{name.upper()}", value)
    assert message in refused()


@pytest.mark.parametrize(
    "given",
    [
        TOKENS | {"token_file": "t"},
        TOKENS | {"token_file": "t", "security_protocol": "SASL_PLAINTEXT"},
        TOKENS | {"aws_region": "us-gov-west-1"},
        TOKENS | {"token_file": "t", "certificate_file": "c", "key_file": "k"},
        TLS | {"certificate_file": "c", "key_file": "k"},
        SASL | {"username": "u", "password": "p", "certificate_file": "c", "key_file": "k"},
    ],
)
def test_valid_combinations_of_credentials(given: dict[str, str]) -> None:
    KafkaSettings.model_validate(given)
