"""Connections with a token or a certificate, to a real Kafka that requires it."""

import asyncio
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog.testing

from sluice_contracts.records import OutgoingRecord
from sluice_runtime.backoff import Backoff
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.auth.token_file import TokenFile
from sluice_runtime.kafka.consumer import make_consumer, stop_consumer
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.kafka.producer import RecordProducer
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.kafka.topics import ensure_topics
from sluice_runtime.service import wait_for_kafka
from tests.support.kafka import (
    WAIT_SECONDS,
    create_topic,
    read_all,
    running_broker,
    topic_names,
    unique_name,
)
from tests.support.secured_kafka import CERTIFICATES, TLS, TOKENS, SecuredKafka, unsigned_token

pytestmark = pytest.mark.integration

LIFE_OF_A_CONNECTION_MS = 500
CONNECTIONS = 12
"""More than each of the two clients makes for itself."""


@pytest.fixture(scope="module")
def by_token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """A Kafka that accepts tokens, and soon ends each connection, as for an expired token."""
    kafka = SecuredKafka(
        data_dir=tmp_path_factory.mktemp("by-token"),
        protocol="SASL_PLAINTEXT",
        settings=TOKENS | {"connections.max.reauth.ms": str(LIFE_OF_A_CONNECTION_MS)},
    )
    with running_broker(kafka):
        yield kafka


@pytest.fixture(scope="module")
def by_certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """A Kafka that requires client certificates."""
    kafka = SecuredKafka(
        data_dir=tmp_path_factory.mktemp("by-certificate"), protocol="SSL", settings=CERTIFICATES
    )
    with running_broker(kafka):
        yield kafka


def settings(kafka: SecuredKafka, **more: Any) -> KafkaSettings:
    return KafkaSettings.model_validate(
        {
            "bootstrap_servers": kafka.outer_servers,
            "topics": topic_names(),
            "partitions": 1,
            "replication_factor": 1,
            "session_timeout": timedelta(seconds=6),
            **more,
        }
    )


def token_settings(kafka: SecuredKafka, file: Path) -> KafkaSettings:
    given = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "OAUTHBEARER"}
    return settings(kafka, **given, token_file=file)


def tls_settings(kafka: SecuredKafka, who: str | None, folder: Path = TLS) -> KafkaSettings:
    files = {"certificate_file": folder / f"{who}.crt", "key_file": folder / f"{who}.key"}
    given = {"security_protocol": "SSL", "ca_file": TLS / "ours.crt"}
    return settings(kafka, **given, **(files if who else {}))


async def use(kafka: KafkaSettings) -> None:
    """Do the same as the services at their start."""
    deadline = Deadline("reach Kafka", timedelta(seconds=WAIT_SECONDS))
    await ensure_topics(kafka, client_id="test", deadline=deadline)


async def use_at_last(kafka: KafkaSettings) -> None:
    """Do so until a connection lives long enough, like the services."""
    async with asyncio.timeout(WAIT_SECONDS * 2):
        await wait_for_kafka(lambda: use(kafka), backoff=Backoff(), stop=asyncio.Event())


async def write(producer: RecordProducer, topic: str, value: bytes) -> None:
    """Send until the record is acknowledged, like the services."""
    while True:
        try:
            deadline = Deadline("send", timedelta(seconds=WAIT_SECONDS))
            await producer.send(topic, OutgoingRecord(key=None, value=value), deadline=deadline)
        except KafkaUnavailableError:
            continue
        return


async def test_a_token_authenticates(by_token: SecuredKafka, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(unsigned_token("sluice") + "\n")
    await use_at_last(token_settings(by_token, file))


async def test_an_expired_token_is_refused_with_the_reason(
    by_token: SecuredKafka, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "token"
    file.write_text(unsigned_token("sluice", seconds=-3600))
    reason = 'SaslAuthenticationFailed: {"status":"invalid_token"}'
    async with asyncio.timeout(WAIT_SECONDS * 2):
        # On a busy machine, the broker may end a connection before it has read the token.
        while reason not in caplog.text:
            with pytest.raises(KafkaUnavailableError):
                await use(token_settings(by_token, file))
    assert file.read_text() not in caplog.text


async def test_connections_that_end_with_their_tokens_lose_no_records(
    by_token: SecuredKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, file = unique_name("tokens"), tmp_path / "token"
    await create_topic(by_token, topic)
    kafka = token_settings(by_token, file)
    read = TokenFile.read
    handed_out: list[str] = []

    def renewed(tokens: TokenFile) -> str:
        """Play the kubelet: readers of the file get a new token."""
        file.write_text(unsigned_token(f"sluice-{len(handed_out)}"))
        handed_out.append(read(tokens))
        return handed_out[-1]

    monkeypatch.setattr(TokenFile, "read", renewed)
    producer = RecordProducer(kafka, client_id="test")
    consumer = make_consumer(kafka, client_id="test", group=unique_name("group"))
    consumer.subscribe([topic])
    seen: list[bytes] = []
    written = 0
    try:
        await consumer.start()
        async with asyncio.timeout(WAIT_SECONDS * 2):
            while len(handed_out) < CONNECTIONS:
                await write(producer, topic, b"%d" % written)
                written += 1
                seen.append((await consumer.getone()).value)
                await consumer.commit()
    finally:
        await stop_consumer(consumer)
        await producer.close()
    assert seen == [b"%d" % each for each in range(written)]


async def test_a_certificate_authenticates(by_certificate: SecuredKafka) -> None:
    await use(tls_settings(by_certificate, "first"))


@pytest.mark.parametrize("who", [None, "stranger"])
async def test_a_missing_or_foreign_certificate_is_refused_with_the_reason(
    by_certificate: SecuredKafka, who: str | None
) -> None:
    with structlog.testing.capture_logs() as logs, pytest.raises(KafkaUnavailableError):
        await use(tls_settings(by_certificate, who))
    refusals = {log["alert"] for log in logs if log["event"].startswith("broker refused")}
    assert len(refusals) == 1
    assert "CERTIFICATE" in refusals.pop()


async def test_the_next_connection_uses_a_renewed_certificate(
    by_certificate: SecuredKafka, tmp_path: Path
) -> None:
    topic = unique_name("renewed")
    await create_topic(by_certificate, topic)
    mount(tmp_path, "stranger")
    producer = RecordProducer(tls_settings(by_certificate, "mounted", tmp_path), client_id="test")
    deadline = Deadline("send", timedelta(seconds=WAIT_SECONDS))
    try:
        with pytest.raises(KafkaUnavailableError):
            await producer.send(topic, OutgoingRecord(key=None, value=b"1"), deadline=deadline)
        mount(tmp_path, "renewed")
        await producer.send(topic, OutgoingRecord(key=None, value=b"2"), deadline=deadline)
    finally:
        await producer.close()
    assert [record.value for record in await read_all(by_certificate, topic)] == [b"2"]


def mount(folder: Path, who: str) -> None:
    """Write a certificate, as when a Secret is renewed."""
    for ending in ("crt", "key"):
        renewed = folder / f"{who}.{ending}"
        shutil.copy(TLS / renewed.name, renewed)
        renewed.replace(folder / f"mounted.{ending}")
