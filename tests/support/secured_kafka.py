"""A real Kafka with a second, secured listener in addition to the open one."""

import base64
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from sluice_local.kafka import EmbeddedKafka
from sluice_local.ports import free_ports

TLS = Path(__file__).parents[1] / "data/tls"
"""See its README."""

_OAUTH = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"

CERTIFICATES = {
    "listener.name.outer.ssl.client.auth": "required",
    "listener.name.outer.ssl.keystore.type": "PEM",
    "listener.name.outer.ssl.keystore.location": str(TLS / "broker.pem"),
    "listener.name.outer.ssl.truststore.type": "PEM",
    "listener.name.outer.ssl.truststore.location": str(TLS / "ours.crt"),
}
"""The listener has a certificate, and requires one of the same authority."""

TOKENS = {
    "listener.name.outer.sasl.enabled.mechanisms": "OAUTHBEARER",
    "listener.name.outer.oauthbearer.sasl.jaas.config": (
        f'{_OAUTH} required unsecuredLoginStringClaim_sub="broker";'
    ),
}
"""The listener accepts unsigned tokens, by Kafka's own validator for tests."""


class SecuredKafka(EmbeddedKafka):
    """A Kafka with an open inner listener, and an outer one with the given settings."""

    def __init__(
        self,
        *,
        data_dir: Path,
        protocol: str,
        settings: Mapping[str, str],
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(data_dir=data_dir, on_line=on_line)
        [self._outer] = free_ports(1)
        self._protocol = protocol
        self._settings = settings

    @property
    def outer_servers(self) -> str:
        """The address of the secured listener."""
        return f"127.0.0.1:{self._outer}"

    def _prepare(self) -> str:
        class_path = super()._prepare()
        properties = self._storage.properties
        given = dict(
            line.split("=", 1) for line in properties.read_text("ascii").splitlines() if line
        )
        outer = f"OUTER://{self.outer_servers}"
        protocols = f"OUTER:{self._protocol},PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"
        given |= {
            "listeners": f"{given['listeners']},{outer}",
            "advertised.listeners": f"{given['advertised.listeners']},{outer}",
            "listener.security.protocol.map": protocols,
            **self._settings,
        }
        text = "".join(f"{name}={value}\n" for name, value in given.items())
        properties.write_text(text, "ascii")
        return class_path


def unsigned_token(subject: str, *, seconds: float = 3600) -> str:
    """Return an unsigned JSON Web Token that is valid for this time from now on."""
    now = time.time()
    claims = {"sub": subject, "iat": now, "exp": now + seconds}
    return ".".join(_encoded(part) for part in ({"alg": "none"}, claims)) + "."


def _encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
