"""GET /openapi.json, /asyncapi.json and /docs."""

import hashlib
import json
import re
from importlib import resources

import pytest
from jsonschema import validate

from sluice_contracts.asyncapi import asyncapi
from sluice_contracts.audit import AuditRecord, Verdict, encode_audit
from sluice_contracts.controls import Control, ControlState, ControlTarget, encode_control
from sluice_gateway.handlers.openapi import openapi
from sluice_gateway.handlers.reference import reference_of
from sluice_gateway.handlers.table import OPERATIONS
from tests.unit.gateway.harness import NOW, TOPICS, Gateway

STATIC = resources.files("sluice_gateway").joinpath("static")
VENDORED = STATIC.joinpath("swagger-ui")


async def test_the_documents_are_those_of_the_table_and_the_topics(gateway: Gateway) -> None:
    served = await (await gateway.client.get("/openapi.json")).json()
    assert served == json.loads(json.dumps(openapi(OPERATIONS)))

    served = await (await gateway.client.get("/asyncapi.json")).json()
    assert served == json.loads(json.dumps(asyncapi(TOPICS)))


def test_the_topics_of_controls_and_audit_are_described_where_they_are_used() -> None:
    served = json.loads(
        reference_of(OPERATIONS, TOPICS, controls_topic="pauses", audit_topic="trail").asyncapi.body
    )
    addresses = {name: channel["address"] for name, channel in served["channels"].items()}
    assert (addresses["controls"], addresses["audit"]) == ("pauses", "trail")
    assert set(asyncapi(TOPICS)["channels"]) == {"requests", "status", "results", "dlq"}
    kinds = {name: each["action"] for name, each in served["operations"].items()}
    assert (kinds["read-controls"], kinds["publish-audit"]) == ("receive", "send")


@pytest.mark.parametrize("state", ["running", "paused", "draining"])
def test_what_is_written_to_both_topics_is_as_described(state: ControlState) -> None:
    messages = asyncapi(TOPICS, controls="pauses", audit="trail")["components"]["messages"]
    control = encode_control(
        ControlTarget("tenant", "acme"), Control(state=state, at=NOW), source="/test"
    )
    audit = encode_audit(
        AuditRecord(time=NOW, principal=None, operation="startRun", verdict=Verdict.REFUSED),
        event_id="1",
    )
    for record, name in ((control, "control"), (audit, "auditRecord")):
        schemas = asyncapi(TOPICS)["components"]["schemas"]
        headers = {key: value.decode() for key, value in record.headers}
        validate(headers, messages[name]["headers"])
        payload = {**messages[name]["payload"], "components": {"schemas": schemas}}
        validate(json.loads(record.value or b""), payload)
        if record.key is not None:
            validate(record.key.decode(), messages[name]["bindings"]["kafka"]["key"])


async def test_the_page_needs_files_of_ours_alone_and_its_policy_allows_no_others(
    gateway: Gateway,
) -> None:
    response = await gateway.client.get("/docs")
    page = await response.text()

    assert (response.status, response.content_type) == (200, "text/html")
    policy = response.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert policy.startswith("default-src 'none';")
    assert "require-trusted-types-for 'script'" in policy
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(addresses) == 7
    for address in addresses:
        if address != "data:,":
            found = await gateway.client.get(f"/{address}")
            assert found.status == 200, address
    assert not re.search(r"<script>|\son\w+=|\sstyle=|<style", page)


async def test_a_file_of_the_page_never_changes_under_its_name(gateway: Gateway) -> None:
    page = await (await gateway.client.get("/docs")).text()
    for name in re.findall(r'"docs/([^"]*)"', page):
        response = await gateway.client.get(f"/docs/{name}")

        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        digest = hashlib.sha256(await response.read()).hexdigest()
        assert name.split(".")[-2] == digest[:16]
        assert response.content_type == ("text/css" if name.endswith(".css") else "text/javascript")


@pytest.mark.parametrize("name", ["swagger-ui.css", "README.md", "..%2Fdocs.html", "SHA256SUMS"])
async def test_other_files_of_the_package_are_not_served(gateway: Gateway, name: str) -> None:
    assert (await gateway.client.get(f"/docs/{name}")).status == 404


def test_vendored_files_are_those_of_the_archive() -> None:
    lines = VENDORED.joinpath("SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split() for line in lines)}
    assert {each.name for each in VENDORED.iterdir()} == {*sums, "SHA256SUMS", "README.md"}
    for name, digest in sums.items():
        assert hashlib.sha256(VENDORED.joinpath(name).read_bytes()).hexdigest() == digest, name
