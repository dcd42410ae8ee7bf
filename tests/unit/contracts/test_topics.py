"""The topic table, and all promises that a topic can break."""

import pytest

from sluice_contracts.topics import (
    MAX_DEAD_LETTER_BYTES,
    MAX_REQUEST_BYTES,
    MAX_STATUS_BYTES,
    Mismatch,
    TopicNames,
    controls_topic,
    mismatches,
    mismatches_of,
    topic_table,
)

DAY_MS = 24 * 3_600_000
TABLE = topic_table(TopicNames())


def cluster(**changes: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return the settings of created topics, with these changes by topic."""
    defaults = {"min.insync.replicas": "2", "compression.type": "producer"}
    actual = {spec.name: defaults | spec.config() for spec in TABLE}
    for part, settings in changes.items():
        actual[getattr(TABLE, part).name] |= {
            name.replace("_", "."): value for name, value in settings.items()
        }
    return actual


def wrong(actual: dict[str, dict[str, str]]) -> list[str]:
    return [str(each) for each in mismatches(TABLE, actual, in_sync_replicas=2)]


def test_the_design_s_topics() -> None:
    assert [(spec.name, spec.cleanup_policy, spec.retention_ms) for spec in TABLE] == [
        ("sluice.requests", "delete", DAY_MS),
        ("sluice.status", "delete", 7 * DAY_MS),
        ("sluice.results", "compact,delete", 7 * DAY_MS),
        ("sluice.requests.dlq", "delete", 30 * DAY_MS),
    ]


def test_names_are_settings() -> None:
    names = TopicNames(requests="r", status="s", results="o", dlq="d")
    assert [spec.name for spec in topic_table(names)] == ["r", "s", "o", "d"]


def test_every_topic_accepts_its_largest_record() -> None:
    assert TABLE.requests.max_message_bytes > MAX_REQUEST_BYTES
    assert TABLE.status.max_message_bytes > MAX_STATUS_BYTES
    assert TABLE.results.max_message_bytes > MAX_STATUS_BYTES
    assert TABLE.dlq.max_message_bytes > MAX_DEAD_LETTER_BYTES > TABLE.requests.max_message_bytes


def test_created_topics_have_no_mismatch() -> None:
    assert wrong(cluster()) == []


@pytest.mark.parametrize("policy", ["delete,compact", "compact, delete"])
def test_the_order_of_policies_does_not_matter(policy: str) -> None:
    assert wrong(cluster(results={"cleanup_policy": policy})) == []


@pytest.mark.parametrize(
    ("part", "policy", "needed"),
    [
        ("requests", "compact", "delete"),
        ("status", "compact,delete", "delete"),
        ("dlq", "compact", "delete"),
        ("results", "delete", "compact,delete"),
        ("results", "compact", "compact,delete"),
    ],
)
def test_a_cleanup_policy_that_loses_records_is_a_mismatch(
    part: str, policy: str, needed: str
) -> None:
    (sentence,) = wrong(cluster(**{part: {"cleanup_policy": policy}}))
    name = getattr(TABLE, part).name
    assert sentence == f"{name}: cleanup.policy is {policy!r}, must be {needed!r}."


@pytest.mark.parametrize("part", ["requests", "status", "results", "dlq"])
def test_a_too_small_message_limit_is_a_mismatch(part: str) -> None:
    spec = getattr(TABLE, part)
    enough = {"max_message_bytes": str(spec.max_message_bytes + 1)}
    assert wrong(cluster(**{part: enough})) == []
    too_little = {"max_message_bytes": "1048588"}
    assert wrong(cluster(**{part: too_little})) == [
        f"{spec.name}: max.message.bytes is 1048588, must be at least {spec.max_message_bytes}."
    ]


@pytest.mark.parametrize(
    ("outcomes", "requests", "kept"),
    [
        (7 * DAY_MS, DAY_MS, True),
        (DAY_MS + 1, DAY_MS, True),
        (DAY_MS, DAY_MS, False),
        (DAY_MS, 7 * DAY_MS, False),
        (-1, DAY_MS, True),
        (-1, -1, True),
        (7 * DAY_MS, -1, False),
    ],
)
def test_outcomes_must_be_kept_longer_than_requests(
    outcomes: int, requests: int, kept: bool
) -> None:
    found = wrong(
        cluster(results={"retention_ms": str(outcomes)}, requests={"retention_ms": str(requests)})
    )
    assert (found == []) is kept


def test_a_dedupe_window_too_short_is_explained() -> None:
    changes = {"results": {"retention_ms": "5"}, "requests": {"retention_ms": "-1"}}
    (sentence,) = wrong(cluster(**changes))
    assert sentence == (
        "sluice.results: retention.ms is 5, must be longer than that of sluice.requests "
        "(unlimited): a request that is replayed after its outcome was deleted would start a "
        "second run."
    )


def test_retention_by_size_is_a_mismatch() -> None:
    assert wrong(cluster(status={"retention_bytes": "1"}, dlq={"retention_bytes": "1"})) == []
    for part in ("requests", "results"):
        (sentence,) = wrong(cluster(**{part: {"retention_bytes": "1073741824"}}))
        assert sentence == (
            f"{getattr(TABLE, part).name}: retention.bytes is 1073741824, must be -1: records "
            "would be deleted before retention.ms has passed."
        )


def test_one_in_sync_replica_is_a_mismatch() -> None:
    (sentence,) = wrong(cluster(status={"min_insync_replicas": "1"}))
    assert sentence == (
        "sluice.status: min.insync.replicas is 1, must be at least 2: an acknowledged record "
        "could be lost with one broker."
    )
    lone_broker = cluster(status={"min_insync_replicas": "1"})
    assert mismatches(TABLE, lone_broker, in_sync_replicas=1) == []


@pytest.mark.parametrize("part", ["requests", "status", "results", "dlq"])
def test_timestamps_of_producers_are_a_mismatch(part: str) -> None:
    (dated,) = wrong(cluster(**{part: {"message_timestamp_type": "CreateTime"}}))
    assert dated == (
        f"{getattr(TABLE, part).name}: message.timestamp.type is 'CreateTime', must be "
        "'LogAppendTime': retention would delete the records of a producer with a slow clock too "
        "early."
    )


@pytest.mark.parametrize("part", ["requests", "status", "results", "dlq"])
def test_unclean_leader_election_is_a_mismatch(part: str) -> None:
    (unclean,) = wrong(cluster(**{part: {"unclean_leader_election_enable": "true"}}))
    assert unclean == (
        f"{getattr(TABLE, part).name}: unclean.leader.election.enable is 'true', must be 'false': "
        "a replica that lacks acknowledged records could become the leader, and they would be lost."
    )


def test_compressed_requests_are_a_mismatch() -> None:
    (inflated,) = wrong(cluster(requests={"compression_type": "producer"}))
    assert inflated.startswith("sluice.requests: compression.type is 'producer', must be 'unc")


def test_a_mismatch_names_its_topic() -> None:
    actual = cluster(results={"cleanup_policy": "delete"})
    (found,) = mismatches(TABLE, actual, in_sync_replicas=2)
    assert found == Mismatch(
        topic="sluice.results", detail="cleanup.policy is 'delete', must be 'compact,delete'."
    )


def test_all_mismatches_are_reported_together() -> None:
    changes = {"cleanup_policy": "compact", "max_message_bytes": "1", "retention_ms": "1"}
    parts = ("requests", "status", "results", "dlq")
    assert len(wrong(cluster(**dict.fromkeys(parts, changes)))) == 9


def test_the_topic_of_controls_keeps_the_last_record_of_each_key() -> None:
    spec = controls_topic("sluice.controls")
    config = {"min.insync.replicas": "2", **spec.config()}
    assert (config["cleanup.policy"], config["retention.ms"]) == ("compact", "-1")
    assert mismatches_of(spec, config, in_sync_replicas=2) == []
    wrong = config | {"cleanup.policy": "compact,delete"}
    [found] = mismatches_of(spec, wrong, in_sync_replicas=2)
    assert str(found) == ("sluice.controls: cleanup.policy is 'compact,delete', must be 'compact'.")
