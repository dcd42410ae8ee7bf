"""GET /v1/log: the log of one step, for the gateway alone.

The body has the lines as the kubelet gives them, each behind its time. An empty line says that the
log goes on and is silent. A log that is not at its end is cut, so that nobody takes it for whole.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated, Final

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from sluice_contracts.ids import RunId, RunKey, Tenant
from sluice_log_relay.domain.step_pods import LogRange, StepOfRun
from sluice_log_relay.handlers.app_keys import LIMITS, METRICS, READING, SECRETS
from sluice_log_relay.ports import PodsUnavailableError
from sluice_log_relay.services.log_reading import BusyError, InterruptedLogError, NoPodError
from sluice_runtime.heartbeats import with_heartbeats
from sluice_runtime.kubernetes.namespaces import Namespace
from sluice_runtime.shared_secret import is_one_of

__all__ = ["PATH", "get_log"]

_log = structlog.get_logger(__name__)

PATH: Final = "/v1/log"
_RETRY_AFTER: Final = {"Retry-After": "2"}

_Text = Annotated[str, StringConstraints(min_length=1, max_length=253)]


class _Query(BaseModel):
    """Which log, and how much of it."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    tenant: Tenant
    run_id: RunId
    namespace: Namespace
    uid: _Text
    node_id: _Text
    template: _Text | None = None
    tail: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    since: Annotated[int, Field(ge=0, lt=10**10)] | None = None
    follow: bool = False
    starting: bool = False


async def get_log(request: web.Request) -> web.StreamResponse:
    """Send the log as it is read."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    given = secret.strip().encode(errors="replace")
    if scheme.lower() != "bearer" or not is_one_of(request.app[SECRETS](), given):
        _log.warning("refused: not the secret of the gateway", remote=request.remote)
        return _answer(request, 401)
    try:
        query = _Query.model_validate(dict(request.query))
    except ValidationError as e:
        places = [".".join(map(str, each["loc"])) for each in e.errors()]
        _log.warning("refused: not a request of the gateway", wrong=places)
        return _answer(request, 400)
    step = StepOfRun(
        key=RunKey(query.tenant, query.run_id),
        namespace=query.namespace,
        uid=query.uid,
        node_id=query.node_id,
        template=query.template,
    )
    since = None if query.since is None else datetime.fromtimestamp(query.since, UTC)
    part = LogRange(tail=query.tail, since=since)
    opening = request.app[READING].open(step, part, follow=query.follow, starting=query.starting)
    try:
        async with opening as chunks, aclosing(chunks):
            return await _send(request, chunks)
    except NoPodError as e:
        _log.info("no log", workflow=step.workflow, reason=str(e))
        return _answer(request, 404)
    except BusyError as e:
        _log.warning("log not read", reason=str(e))
        return _answer(request, 503, _RETRY_AFTER)
    except PodsUnavailableError as e:
        _log.warning("log not read", workflow=step.workflow, error=str(e))
        return _answer(request, 503, _RETRY_AFTER)


async def _send(request: web.Request, chunks: AsyncGenerator[bytes]) -> web.StreamResponse:
    limits = request.app[LIMITS]
    response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
    request.app[METRICS].requests.labels("200").inc()
    await response.prepare(request)
    last = b"\n"
    try:
        async with aclosing(with_heartbeats(chunks, every=limits.keepalive)) as pieces:
            async for piece in pieces:
                # Not within a line, which an empty one would end.
                sent = piece if piece is not None else b"\n" if last == b"\n" else b""
                if sent:
                    last = sent[-1:]
                    async with asyncio.timeout(limits.write_timeout):
                        await response.write(sent)
        await response.write_eof()
    except (InterruptedLogError, PodsUnavailableError, TimeoutError) as e:
        _log.info("log cut, its reader continues", reason=str(e) or "the gateway does not read")
        request.app[METRICS].interruptions.inc()
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        _log.debug("log left by its reader")
    return response


def _answer(
    request: web.Request, status: int, headers: dict[str, str] | None = None
) -> web.Response:
    request.app[METRICS].requests.labels(str(status)).inc()
    return web.Response(status=status, headers=headers)
