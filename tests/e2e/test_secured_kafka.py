"""A whole Sluice whose Kafka wants to know who connects.

One that takes tokens closes every connection after a second, as brokers do when a token has run out
(KIP-368). So each service loses each of its connections many times within the test.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice_local.runner.plan import SERVICES
from tests.support.engines import Engine
from tests.support.kafka import running_broker
from tests.support.matrix import LOCAL
from tests.support.secured_kafka import CERTIFICATES, TLS, TOKENS, SecuredKafka, unsigned_token
from tests.support.sluice import Sluice, running_sluice

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

LIFE_OF_A_CONNECTION_MS = 1000
RUNS = 8
BY_TOKEN = {
    "SLUICE_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "SLUICE_KAFKA__SASL_MECHANISM": "OAUTHBEARER",
}
BY_CERTIFICATE = {
    "SLUICE_KAFKA__SECURITY_PROTOCOL": "SSL",
    "SLUICE_KAFKA__CA_FILE": str(TLS / "ours.crt"),
    "SLUICE_KAFKA__CERTIFICATE_FILE": str(TLS / "first.crt"),
    "SLUICE_KAFKA__KEY_FILE": str(TLS / "first.key"),
}


@pytest.fixture(params=["token", "certificate"])
def secured(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sluice]:
    """A Sluice that shows its Kafka what it wants."""
    if request.param == "token":
        token = tmp_path / "token"
        token.write_text(unsigned_token("sluice"))
        life = {"connections.max.reauth.ms": str(LIFE_OF_A_CONNECTION_MS)}
        settings, protocol = TOKENS | life, "SASL_PLAINTEXT"
        shown = BY_TOKEN | {"SLUICE_KAFKA__TOKEN_FILE": str(token)}
    else:
        settings, protocol, shown = CERTIFICATES, "SSL", BY_CERTIFICATE
    kafka = SecuredKafka(data_dir=tmp_path / "kafka", protocol=protocol, settings=settings)
    environment = shown | {
        "SLUICE_KAFKA__BOOTSTRAP_SERVERS": kafka.outer_servers,
        "SLUICE_KAFKA__REPLICATION_FACTOR": "1",
    }
    everybody = {service.name: environment for service in SERVICES}
    with (
        running_broker(kafka),
        running_sluice(
            kafka, tmp_path / "sluice", engine=Engine(LOCAL), environment=everybody
        ) as sluice,
    ):
        yield sluice


async def test_every_run_comes_to_its_end(secured: Sluice) -> None:
    async with secured.client() as client:
        for number in range(RUNS):
            outcome = await client.outcome({"id": f"run-{number}", "workflow": "moment"})
            assert outcome["phase"] == "Succeeded"
    for service in SERVICES:
        assert "ended by itself" not in secured.log(service.name)
