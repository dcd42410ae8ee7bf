"""GET /openapi.json, /asyncapi.json and /docs."""

import hashlib
import json
import re
from importlib import resources

import pytest

from sluice_contracts.asyncapi import asyncapi
from sluice_gateway.handlers.openapi import openapi
from sluice_gateway.handlers.table import OPERATIONS
from tests.unit.gateway.harness import TOPICS, Gateway

STATIC = resources.files("sluice_gateway").joinpath("static")
VENDORED = STATIC.joinpath("swagger-ui")


async def test_the_documents_are_those_of_the_table_and_the_topics(gateway: Gateway) -> None:
    served = await (await gateway.client.get("/openapi.json")).json()
    assert served == json.loads(json.dumps(openapi(OPERATIONS)))

    served = await (await gateway.client.get("/asyncapi.json")).json()
    assert served == json.loads(json.dumps(asyncapi(TOPICS)))


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
