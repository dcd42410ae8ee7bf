"""The stand-in's reading of the official image's variables."""

from testbed.docker.kafka_start import settings_from


def test_variables_become_settings() -> None:
    found = settings_from(
        {
            "KAFKA_NODE_ID": "1",
            "KAFKA_LISTENER_NAME_A__B_SSL___C": "x",
            "KAFKA_HEAP_OPTS": "-Xmx1g",
            "CLUSTER_ID": "c",
            "PATH": "/bin",
        }
    )
    assert found == {"node.id": "1", "listener.name.a_b.ssl-c": "x"}


def test_a_kafka_without_settings_is_one_broker() -> None:
    assert settings_from({"KAFKA_HEAP_OPTS": "-Xmx1g"})["process.roles"] == "broker,controller"
