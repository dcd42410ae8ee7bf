"""The broker's configuration and command lines."""

import base64
from pathlib import Path

import pytest

from sluice_local.errors import LocalModeError
from sluice_local.kafka import config
from sluice_local.kafka.config import KafkaPorts, format_command, server_command, server_properties
from tests.support.goldens import Golden

PORTS = KafkaPorts(client=9092, controller=19093)


def test_server_properties(golden: Golden) -> None:
    text = server_properties(ports=PORTS, log_dir=Path("/data/kafka/log"))
    golden("local/server.properties", text)


def test_the_cluster_id_is_valid_for_kafka() -> None:
    assert len(base64.urlsafe_b64decode(config.CLUSTER_ID + "==")) == 16


def test_a_folder_in_any_script_is_escaped_for_java() -> None:
    text = server_properties(ports=PORTS, log_dir=Path("/d\\ä/😀 x"))
    assert "log.dirs=/d\\\\\\u00e4/\\ud83d\\ude00 x\n" in text


def test_a_comma_in_the_folder_is_refused() -> None:
    with pytest.raises(LocalModeError, match="comma"):
        server_properties(ports=PORTS, log_dir=Path("/a,b"))


def test_commands_run_the_class_with_the_class_path() -> None:
    java, properties = Path("/java"), Path("/p")
    serve = server_command(java=java, class_path="a.jar:b.jar", properties=properties)
    layout = format_command(java=java, class_path="a.jar:b.jar", properties=properties)

    assert serve[0] == layout[0] == "/java"
    assert serve[-4:] == ["-cp", "a.jar:b.jar", "kafka.Kafka", "/p"]
    assert layout[-6:-4] == ["kafka.tools.StorageTool", "format"]
    assert layout[-4:] == ["--cluster-id", config.CLUSTER_ID, "--config", "/p"]
    assert "-Xmx256m" in serve
