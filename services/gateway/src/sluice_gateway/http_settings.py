"""Settings of how HTTP is served."""

import re
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import NoDecode

from sluice_gateway.setting_values import Origin, separated
from sluice_runtime.durations import Duration

__all__ = ["HttpSettings"]

_HOST_NAMES = re.compile(r"\*|(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def _networks(value: object) -> object:
    parts = separated(value)
    if not isinstance(parts, list | tuple):
        return parts
    try:
        return tuple(ip_network(str(each)) for each in parts)
    except ValueError as e:
        raise ValueError("Must be networks, as in 10.0.0.0/16,fd00::/8.") from e


def _host_names(value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(_HOST_NAMES.fullmatch(each) for each in value):
        raise ValueError("Must be names without ports, as in runs.example.com,*.internal; or *.")
    return value


class HttpSettings(BaseModel):
    """How HTTP is served. The time-outs keep slow or silent clients from holding connections."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: Annotated[
        str,
        Field(description="Address to listen on; loopback unless you decide otherwise."),
    ] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on; 0: any.")] = 8080
    greeting: Annotated[
        str, Field(max_length=1000, description="What `GET /` says, before anything else.")
    ] = "Sluice starts Argo workflows, one per request."
    header_timeout: Annotated[
        Duration, Field(description="From the connection to the end of its first request's head.")
    ] = timedelta(seconds=10)
    body_timeout: Annotated[
        Duration, Field(description="For a request's body to come in, once its head is there.")
    ] = timedelta(seconds=15)
    body_rate: Annotated[
        int,
        Field(ge=1, description="Bytes a second at which a body has to come, within body_timeout."),
    ] = 16 * 1024
    body_grace: Annotated[
        Duration, Field(description="How long a body may pause, at its begin and later.")
    ] = timedelta(seconds=5)
    idle_timeout: Annotated[
        Duration,
        Field(description="For the next request on an open connection; above a proxy's (60 s)."),
    ] = timedelta(seconds=75)
    write_timeout: Annotated[
        Duration, Field(description="For the reader of a stream to take what was written.")
    ] = timedelta(seconds=30)
    farewell: Annotated[
        Duration,
        Field(
            description="How long to go on serving after a signal to stop. Behind a Service or a "
            "load balancer: until all have noticed, and longer than clients keep idle connections."
        ),
    ] = timedelta(0)
    keepalive: Annotated[
        Duration,
        Field(description="Silence after which a stream gets a comment, so that proxies keep it."),
    ] = timedelta(seconds=15)
    max_connections: Annotated[
        int,
        Field(
            ge=1,
            description="Open connections. One more takes the place of one that is idle, or is "
            "answered with 503 and closed.",
        ),
    ] = 4096
    peer_share: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="How much one client address may hold of what the others leave: of "
            "connections, and of all that admission bounds. 1: everything.",
        ),
    ] = 0.5
    trusted_proxies: Annotated[
        tuple[IPv4Network | IPv6Network, ...],
        NoDecode,
        BeforeValidator(_networks),
        Field(
            description="Proxies whose X-Forwarded-For says who the client is, as in "
            "`10.0.0.0/16,fd00::/8`. Without, all clients behind a proxy share its part."
        ),
    ] = ()
    allowed_hosts: Annotated[
        tuple[str, ...],
        NoDecode,
        BeforeValidator(separated),
        AfterValidator(_host_names),
        Field(
            description="Host names by which clients reach the gateway, as in "
            "`runs.example.com,*.internal`; `*`: any. Addresses and localhost always do; another "
            "name is answered with 421, against DNS rebinding."
        ),
    ] = ()
    cors_origins: Annotated[
        tuple[Origin, ...],
        NoDecode,
        BeforeValidator(separated),
        Field(
            description="Other sites whose pages may use the API (CORS), as in "
            "`https://dashboard.example.com`. They authenticate by a header, never by a cookie."
        ),
    ] = ()
