"""What holds for every operation, as the table declares it."""

import re
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from sluice_contracts.dead_letters import encode_dead_letter
from sluice_contracts.problems import ProblemType, problem
from sluice_contracts.records import IncomingRecord, Position
from sluice_contracts.status import Phase
from sluice_contracts.steps import Step
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.handlers.middleware import problem_responses, set_headers
from sluice_gateway.handlers.operations import (
    NDJSON,
    SSE,
    Answer,
    Content,
    Deprecation,
    Operation,
    QueryParameter,
)
from sluice_gateway.handlers.reference import reference_of
from sluice_gateway.handlers.routing import MEDIA_TYPE, routes
from sluice_gateway.handlers.table import OPERATIONS
from sluice_gateway.services.step_logs import StepLogs
from tests.support.fake_log_relay import KeptLogs
from tests.unit.gateway.harness import TOPICS, Gateway, published, running_gateway

STYLE = next(name for name in reference_of(OPERATIONS, TOPICS).files if name.endswith(".css"))
LETTER = "0-0"
"""The first record without a key on the dead letter topic."""
ADDRESSES = {"{id}": "order-1", "{step}": "say", "{name}": "greet", "{file}": STYLE}


def address(path: str) -> str:
    """Fill in the path's parameters."""
    if path.startswith("/v1/dead-letters"):
        return path.replace("{id}", LETTER)
    return re.sub(r"\{\w+\}", lambda found: ADDRESSES[found[0]], path)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running_gateway(tmp_path, step_logs=StepLogs(KeptLogs())) as running:
        yield running


async def seed(gateway: Gateway) -> None:
    """Make what the addresses name."""
    await gateway.post({"id": "order-1", "workflow": "greet", "parameters": {"name": "Ada"}})
    said = Step(id="say-1", name="say", type="Pod", phase="Running")
    await gateway.publish(published(1, Phase.RUNNING, steps=(said,), namespace="argo", uid="u1"))
    record = IncomingRecord(
        position=Position(TOPICS.requests, 0, 0), timestamp_ms=0, key=None, value=b"{"
    )
    why = problem(ProblemType.MALFORMED_JSON, "No.")
    written = await gateway.bury(encode_dead_letter(record, why, key=None))
    assert f"{written.position.partition}-{written.position.offset}" == LETTER


def paths() -> list[tuple[str, str]]:
    """Give each path with the methods that it takes, as Allow lists them."""
    methods: dict[str, set[str]] = defaultdict(lambda: {"OPTIONS"})
    for each in OPERATIONS:
        methods[each.path] |= {"GET", "HEAD"} if each.method == "GET" else {each.method}
    return [(path, ",".join(sorted(allowed))) for path, allowed in methods.items()]


def each_operation(*methods: str) -> pytest.MarkDecorator:
    """Run a test for each operation, or for those of the methods."""
    wanted = [each for each in OPERATIONS if not methods or each.method in methods]
    return pytest.mark.parametrize("operation", wanted, ids=[each.id for each in wanted])


def test_ids_are_unique_and_paths_declare_their_parameters() -> None:
    ids = [each.id for each in OPERATIONS]
    assert len(set(ids)) == len(ids)
    for each in OPERATIONS:
        names = {parameter.name for parameter in each.path_parameters}
        assert set(re.findall(r"\{(\w+)\}", each.path)) == names, each.id
        assert all(parameter.required for parameter in each.path_parameters)
        for answer in each.answers:
            assert {link.operation for link in answer.links} <= set(ids)


@pytest.mark.parametrize(("path", "allowed"), paths())
class TestEveryPath:
    async def test_options_lists_the_methods(
        self, gateway: Gateway, path: str, allowed: str
    ) -> None:
        response = await gateway.client.options(address(path))

        assert response.status == 204
        assert response.headers["Allow"].replace(" ", "") == allowed

    async def test_another_method_is_refused_with_those_that_are_not(
        self, gateway: Gateway, path: str, allowed: str
    ) -> None:
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"} - set(
            allowed.split(",")
        ):
            response = await gateway.client.request(method, address(path))

            assert response.status == 405, method
            assert response.content_type == "application/problem+json"
            assert response.headers["Allow"] == allowed

    async def test_a_trailing_slash_is_another_path(
        self, gateway: Gateway, path: str, allowed: str
    ) -> None:
        if path != "/":
            assert (await gateway.client.get(address(path) + "/")).status == 404


@each_operation()
class TestEveryOperation:
    async def test_an_answer_that_cannot_be_given_is_not_acceptable(
        self, gateway: Gateway, operation: Operation
    ) -> None:
        response = await gateway.client.request(
            operation.method, address(operation.path), headers={"Accept": "image/png, */*;q=0"}
        )

        assert response.status == 406
        assert (await response.json(content_type=None))["type"].endswith(":not-acceptable")

    async def test_an_unknown_query_parameter_is_refused(
        self, gateway: Gateway, operation: Operation
    ) -> None:
        response = await gateway.client.request(
            operation.method, address(operation.path), params={"verbose": "1"}
        )

        assert response.status == 422
        assert "'verbose'" in (await response.json(content_type=None))["detail"]

    async def test_a_query_parameter_is_given_once(
        self, gateway: Gateway, operation: Operation
    ) -> None:
        for each in operation.query:
            if not each.repeatable:
                response = await gateway.client.request(
                    operation.method, address(operation.path), params=[(each.name, "a")] * 2
                )

                assert response.status == 422
                assert "twice" in (await response.json(content_type=None))["detail"]


@each_operation("POST", "PUT", "PATCH")
async def test_a_body_of_another_kind_is_refused(gateway: Gateway, operation: Operation) -> None:
    needed = {each.name: "1" for each in operation.query if each.required}
    for kind in ("text/plain", "application/json; charset=latin-1", "application/jsonx"):
        response = await gateway.client.request(
            operation.method,
            address(operation.path),
            params=needed,
            data=b"{}",
            headers={"Content-Type": kind},
        )

        assert response.status == 415, kind


@each_operation("GET")
async def test_head_answers_as_get_without_a_body(gateway: Gateway, operation: Operation) -> None:
    await seed(gateway)
    path = address(operation.path)

    head = await gateway.client.head(path)

    assert await head.read() == b""
    if SSE not in operation.produces:
        get = await gateway.client.get(path)
        different = {"date", "traceparent"}
        shown = {name.lower(): value for name, value in head.headers.items()}
        expected = {name.lower(): value for name, value in get.headers.items()}
        assert {k: v for k, v in shown.items() if k not in different} == {
            k: v for k, v in expected.items() if k not in different
        }
    assert head.status in (200, 202)
    assert head.content_type in operation.produces


@each_operation("GET")
async def test_a_version_that_the_client_has_is_not_sent_again(
    gateway: Gateway, operation: Operation
) -> None:
    await seed(gateway)
    if SSE in operation.produces:
        return
    path = address(operation.path)
    version = (await gateway.client.get(path)).headers["ETag"]
    assert re.fullmatch(r'"[^"]+"', version)
    for known in (version, f"W/{version}", f'"other", {version}', "*"):
        response = await gateway.client.get(path, headers={"If-None-Match": known})

        assert (response.status, response.headers["ETag"]) == (304, version), known
        assert await response.read() == b""
    assert (await gateway.client.get(path, headers={"If-None-Match": '"other"'})).status in (
        200,
        202,
    )


@pytest.mark.parametrize(
    ("written", "status"),
    [("order%2D1", 200), ("%6frder-1", 200), ("order%2F1", 404), ("..%2F", 404), ("%00", 404)],
)
async def test_ids_may_be_percent_encoded(gateway: Gateway, written: str, status: int) -> None:
    await gateway.post({"id": "order-1", "workflow": "greet", "parameters": {"name": "Ada"}})

    path = gateway.client.make_url("/").join(URL(f"/v1/runs/{written}", encoded=True))
    async with gateway.client.session.get(path) as response:
        assert response.status == status


async def show(request: web.Request) -> web.Response:
    """Show what the checks have found."""
    if request.query.get("fail"):
        raise ProblemError.of("urn:sluice:problem:internal", "")  # type: ignore[arg-type]
    return web.Response(text="", content_type=request[MEDIA_TYPE])


STATED = QueryParameter[int](name="n", type=int, description="", required=True)
OLD = Operation(
    id="old",
    method="GET",
    path="/old",
    handler=show,
    scopes=(),
    summary="",
    query=(STATED,),
    answers=(
        Answer(
            status=200,
            description="",
            content=(Content(media_type=SSE, model=str), Content(media_type=NDJSON, model=str)),
        ),
    ),
    deprecation=Deprecation(
        since=datetime(2026, 1, 1, tzinfo=UTC),
        sunset=datetime(2027, 1, 1, tzinfo=UTC),
        link="https://example.com/old",
    ),
)


@pytest.mark.parametrize(("query", "status"), [("?n=1", 200), ("?n=x", 422), ("", 422)])
async def test_every_answer_of_a_deprecated_operation_says_so(query: str, status: int) -> None:
    app = web.Application(middlewares=[problem_responses])
    app.on_response_prepare.append(set_headers)
    app.add_routes(routes([OLD]))
    async with TestClient(TestServer(app)) as client:
        response = await client.get(f"/old{query}", headers={"Accept": f"{NDJSON}, */*;q=0.5"})

        assert response.status == status
        assert response.headers["Deprecation"] == "@1767225600"
        assert response.headers["Sunset"] == "Fri, 01 Jan 2027 00:00:00 GMT"
        assert response.headers["Link"] == '<https://example.com/old>; rel="deprecation"'
        assert response.headers["Vary"] == "Accept"
        assert response.content_type == (NDJSON if status == 200 else "application/problem+json")
