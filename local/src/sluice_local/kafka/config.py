"""Configuration and command line of a small, quiet and fast Kafka process."""

from dataclasses import dataclass
from pathlib import Path

from sluice_local.errors import LocalModeError

# A fixed id, so that data of another cluster is recognised. base64url of "sluice-local-kaf".
CLUSTER_ID = "c2x1aWNlLWxvY2FsLWthZg"
NODE_ID = 1
STARTED_MESSAGE = "Kafka Server started"
MAX_MESSAGE_BYTES = 4 * 1024 * 1024

_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class KafkaPorts:
    """The ports for clients and for the process' own controller."""

    client: int
    controller: int
    host: str = _LOOPBACK


def server_properties(*, ports: KafkaPorts, log_dir: Path) -> str:
    """Return `server.properties` for KRaft in one process."""
    listener, controller = (
        f"PLAINTEXT://{ports.host}:{ports.client}",
        f"CONTROLLER://{ports.host}:{ports.controller}",
    )
    settings: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": NODE_ID,
        "controller.quorum.voters": f"{NODE_ID}@{ports.host}:{ports.controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"{listener},{controller}",
        "advertised.listeners": listener,
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": _escaped(str(log_dir)),
        # The services create topics, with the settings of their topic table.
        "auto.create.topics.enable": "false",
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "replica.fetch.max.bytes": MAX_MESSAGE_BYTES,
        # One node can have only one replica.
        "default.replication.factor": 1,
        "min.insync.replicas": 1,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        # Each partition costs files and start time.
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.num.partitions": 4,
        # A consumer should not wait for others, and its loss should be noticed soon.
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 6000,
        # After a crash the new process can register only when the old session has expired.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 1000,
        # By default an idle broker writes a no-op record twice a second.
        "metadata.max.idle.interval.ms": 5000,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
        "group.coordinator.threads": 1,
        "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def format_command(*, java: Path, class_path: str, properties: Path) -> list[str]:
    """Return the command that formats an empty data folder for this cluster."""
    tool = ["kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID]
    return [*_jvm(java, class_path), *tool, "--config", str(properties)]


def server_command(*, java: Path, class_path: str, properties: Path) -> list[str]:
    """Return the command that runs the broker."""
    return [*_jvm(java, class_path), "kafka.Kafka", str(properties)]


def _jvm(java: Path, class_path: str) -> list[str]:
    logger = "-Dorg.slf4j.simpleLogger"
    return [
        str(java),
        "-Xms64m",
        "-Xmx256m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        # Kafka and its libraries use features that newer Java runtimes warn about.
        "--sun-misc-unsafe-memory-access=allow",
        "--enable-native-access=ALL-UNNAMED",
        f"{logger}.defaultLogLevel=warn",
        # Its log reports when Kafka is ready.
        f"{logger}.log.kafka.server.KafkaRaftServer=info",
        # These two warn at each start and stop of a healthy cluster of one node.
        f"{logger}.log.org.apache.kafka.controller.QuorumController=error",
        f"{logger}.log.org.apache.kafka.clients.NetworkClient=error",
        f"{logger}.showDateTime=true",
        f"{logger}.dateTimeFormat=HH:mm:ss",
        f"{logger}.showThreadName=false",
        f"{logger}.showShortLogName=true",
        "-cp",
        class_path,
    ]


def _escaped(path: str) -> str:
    """Return a path escaped for java.util.Properties and Kafka's comma-separated lists.

    Raises:
        LocalModeError: the path has a comma, which Kafka treats as a separator.
    """
    if "," in path:
        raise LocalModeError(
            f"Kafka cannot use a folder whose path has a comma: {path}",
            remedy="Choose another folder with --data-dir.",
        )
    return "".join(map(_escaped_character, path))


def _escaped_character(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if character.isascii():
        return character
    # java.util.Properties reads Latin-1; other characters are UTF-16 units, \uXXXX each.
    units = character.encode("utf-16-be").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))
