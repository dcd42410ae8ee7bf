"""The least that could be done: parse JSON, and answer once Kafka has the record.

    python -m bench.bare_gateway BOOTSTRAP_SERVERS TOPIC PORT

It is the reference of bench.gateway: aiohttp and aiokafka with acks=all, and nothing else.
"""

import json
import sys
from collections.abc import AsyncIterator

from aiohttp import web
from aiokafka import AIOKafkaProducer


def main() -> None:
    servers, topic, port = sys.argv[1:]
    app = web.Application()

    async def producing(_: web.Application) -> AsyncIterator[None]:
        nonlocal producer
        producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all")
        await producer.start()
        yield
        await producer.stop()

    async def post(request: web.Request) -> web.Response:
        body = await request.read()
        json.loads(body)
        assert producer is not None
        await producer.send_and_wait(topic, body)
        return web.json_response({"status": "accepted"}, status=202)

    producer: AIOKafkaProducer | None = None
    app.cleanup_ctx.append(producing)
    app.add_routes([web.post("/v1/runs", post)])
    web.run_app(app, host="127.0.0.1", port=int(port), access_log=None, print=None)


if __name__ == "__main__":
    main()
