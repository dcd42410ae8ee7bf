"""What the stand-in for Kafka's official image runs; it needs only Python.

``KAFKA_X_Y_Z`` sets ``x.y.z``, two underscores are one, three are a dash; ``CLUSTER_ID`` names the
cluster; ``KAFKA_HEAP_OPTS`` is Java's. Without any setting it is one broker on localhost:9092.
https://github.com/apache/kafka/blob/trunk/docker/examples/README.md
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

PROPERTIES = Path("/opt/kafka/config/server.properties")
_JAVA = "/opt/java/bin/java"
_CLASS_PATH = "/opt/kafka/libs/*"
_CLUSTER_ID = "5L6g3nShT-eMCtK--X86sw"
_HEAP = "-Xms128m -Xmx512m"
# These are read by the programs, not by the broker.
_NO_SETTINGS = frozenset({"KAFKA_VERSION", "KAFKA_HEAP_OPTS", "KAFKA_OPTS", "KAFKA_LOG4J_OPTS"})
_DEFAULTS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.quorum.voters": "1@localhost:9093",
    "controller.listener.names": "CONTROLLER",
    "listeners": "PLAINTEXT://:9092,CONTROLLER://:9093",
    "advertised.listeners": "PLAINTEXT://localhost:9092",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
}


def settings_from(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the broker's settings from an environment, or those of a single broker."""
    found = {
        _setting(name): value
        for name, value in environment.items()
        if name.startswith("KAFKA_") and name not in _NO_SETTINGS
    }
    return found or _DEFAULTS


def _setting(variable: str) -> str:
    dotted = variable.removeprefix("KAFKA_").lower().replace("_", ".")
    return dotted.replace("...", "-").replace("..", "_")


def main() -> None:
    """Write the settings, format the data folder if it is empty, and become the broker."""
    settings = settings_from(os.environ)
    lines = [f"{name}={value}\n" for name, value in settings.items()]
    PROPERTIES.write_text("".join(lines), "utf-8")
    cluster = os.environ.get("CLUSTER_ID", _CLUSTER_ID)
    java = [
        *(_JAVA, *os.environ.get("KAFKA_HEAP_OPTS", _HEAP).split(), "-XX:+UseSerialGC"),
        *("-XX:TieredStopAtLevel=1", "--sun-misc-unsafe-memory-access=allow"),
        *("--enable-native-access=ALL-UNNAMED", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"),
        *("-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info", "-cp", _CLASS_PATH),
    ]
    formatting = [
        "format",
        "--ignore-formatted",
        "--cluster-id",
        cluster,
        "--config",
        str(PROPERTIES),
    ]
    subprocess.run([*java, "kafka.tools.StorageTool", *formatting], check=True)
    os.execv(_JAVA, [*java, "kafka.Kafka", str(PROPERTIES)])


if __name__ == "__main__":
    main()
