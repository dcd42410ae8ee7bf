"""Bodies that break off in ways that a test client cannot bring about."""

import asyncio
from unittest.mock import Mock

import pytest
from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import make_mocked_request

from sluice_gateway.domain.trusted_proxies import TrustedProxies
from sluice_gateway.handlers.app_keys import LIMITS, LOAD_SHEDDER, TRUSTED_PROXIES, Limits
from sluice_gateway.handlers.request_body import admitted_body
from tests.unit.gateway.harness import load_shedder_of


async def test_a_body_transferred_wrongly_is_a_bad_request() -> None:
    app = web.Application()
    app[LOAD_SHEDDER] = load_shedder_of()
    app[LIMITS] = Limits()
    app[TRUSTED_PROXIES] = TrustedProxies(trusted=())
    loop = asyncio.get_running_loop()
    payload = StreamReader(Mock(spec=BaseProtocol), limit=1024, loop=loop)
    payload.set_exception(web.RequestPayloadError("chunk"))
    headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    request = make_mocked_request("POST", "/", headers=headers, payload=payload, app=app)

    with pytest.raises(web.HTTPBadRequest):
        async with admitted_body(request):
            raise AssertionError("there is no body")
    assert app[LOAD_SHEDDER].in_flight == 0
