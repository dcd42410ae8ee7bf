"""Opens the clients."""

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sluice_cli.domain.profiles import Connection
from sluice_cli.domain.usage import UsageError
from sluice_client import Retries, Sluice, Token
from sluice_contracts.ids import DEFAULT_TENANT

if TYPE_CHECKING:
    from sluice_client.kafka import KafkaSluice

__all__ = ["over_http", "over_kafka"]

# A person waits: the client's own default is for programs.
_RETRIES: Final = Retries(within=10.0)


def over_http(connection: Connection, *, retries: Retries = _RETRIES) -> Sluice:
    """Return a client of the gateway.

    Raises:
        UsageError: the address or a file cannot be used.
    """
    try:
        tls = ssl.create_default_context(cafile=connection.ca_file) if connection.ca_file else None
        return Sluice(
            connection.url,
            token=_token(connection),
            tenant=connection.tenant or DEFAULT_TENANT,
            retries=retries,
            tls=tls,
        )
    except (ValueError, OSError) as e:
        raise UsageError(f"{e} (--url, SLUICE_URL, or url and ca_file of the profile)") from None


def _token(connection: Connection) -> Token | None:
    # The client reads a file again when it has changed.
    if connection.token_file is not None:
        return Path(connection.token_file).expanduser()
    return connection.token


def over_kafka(connection: Connection) -> "KafkaSluice":
    """Return a client of the brokers.

    Raises:
        UsageError: aiokafka is missing, or a file cannot be used.
    """
    try:
        # Only this needs aiokafka, which is an extra.
        from sluice_client.kafka import KafkaSluice  # noqa: PLC0415
        from sluice_contracts.topics import TopicNames  # noqa: PLC0415
    except ImportError:
        raise UsageError(
            "--kafka needs aiokafka: install the command as `pip install './libs/cli[kafka]'`."
        ) from None
    try:
        return KafkaSluice(
            connection.kafka or "",
            topics=TopicNames.model_validate(dict(connection.topics)),
            tenant=connection.tenant or DEFAULT_TENANT,
            **_security(connection),
        )
    except (ValueError, OSError) as e:
        raise UsageError(f"Kafka's settings in the profile cannot be used: {e}") from None


def _security(connection: Connection) -> dict[str, Any]:
    given = connection.kafka_security
    settings: dict[str, Any] = {
        "security_protocol": given.security_protocol,
        "sasl_mechanism": given.sasl_mechanism,
        "sasl_plain_username": given.sasl_plain_username,
    }
    if given.password_file is not None:
        password = Path(given.password_file).expanduser().read_text("utf-8").strip()
        settings["sasl_plain_password"] = password
    if given.security_protocol in ("SSL", "SASL_SSL"):
        tls = ssl.create_default_context(cafile=given.ca_file)
        if given.cert_file is not None:
            tls.load_cert_chain(given.cert_file, given.key_file)
        settings["ssl_context"] = tls
    return {name: value for name, value in settings.items() if value is not None}
