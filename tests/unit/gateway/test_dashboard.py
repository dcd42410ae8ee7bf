"""The dashboard's page and files, as the gateway sends them."""

import hashlib
import re
from importlib import resources
from importlib.resources.abc import Traversable

import pytest

from tests.unit.gateway.harness import Gateway

ROOT = resources.files("sluice_gateway").joinpath("static/dashboard")
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
IMPORT = re.compile(r"""(?:from|import)\s*['"]([^'"]+)['"]""")
MOST_BYTES = 60_000


def modules(folder: Traversable = ROOT, within: str = "") -> dict[str, str]:
    """Return the text of each file that a browser loads, by its path."""
    found: dict[str, str] = {}
    for each in folder.iterdir():
        if each.is_dir():
            found |= modules(each, f"{within}{each.name}/")
        elif each.name.endswith((".js", ".css", ".html", ".svg")):
            found[f"{within}{each.name}"] = each.read_text("utf-8")
    return found


@pytest.mark.parametrize(
    "address",
    ["/", "/runs", "/runs?phase=Failed&label=a%3Db", "/runs/order-1?tenant=acme", "/start"],
)
async def test_a_browser_gets_the_page_at_each_of_its_addresses(
    gateway: Gateway, address: str
) -> None:
    response = await gateway.client.get(address, headers=BROWSER)
    assert (response.status, response.content_type) == (200, "text/html")
    assert 'id="app"' in await response.text()
    policy = response.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "require-trusted-types-for 'script'; trusted-types 'none'" in policy
    known = {"If-None-Match": response.headers["ETag"], **BROWSER}
    assert (await gateway.client.get(address, headers=known)).status == 304


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/json, text/html"])
async def test_a_program_gets_json_at_the_root(gateway: Gateway, accept: str) -> None:
    response = await gateway.client.get("/", headers={"Accept": accept})
    assert response.content_type == "application/json"
    assert (await response.json())["links"]["sign_in"] is None


async def test_its_files_never_change_under_their_addresses(gateway: Gateway) -> None:
    page = await (await gateway.client.get("/", headers=BROWSER)).text()
    addresses = re.findall(r'(?:src|href)="(/ui/[^"]*)"', page)
    assert len(addresses) == 3
    for address in addresses:
        response = await gateway.client.get(address)
        assert response.status == 200
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["vendor/SHA256SUMS", "index.html", "../docs.html", "nothing.js"])
async def test_other_files_are_not_sent(gateway: Gateway, path: str) -> None:
    page = await (await gateway.client.get("/", headers=BROWSER)).text()
    version = re.findall(r'"/ui/(\w+)/', page)[0]
    assert (await gateway.client.get(f"/ui/{version}/{path}")).status == 404


async def test_of_another_version_the_own_file_is_sent_and_not_kept(gateway: Gateway) -> None:
    """During an update the page may come from one replica, and its files from another."""
    page = await (await gateway.client.get("/", headers=BROWSER)).text()
    version = re.findall(r'"/ui/(\w+)/', page)[0]
    own = await gateway.client.get(f"/ui/{version}/lib/layout.js")
    other = await gateway.client.get("/ui/0123456789abcdef/lib/layout.js")
    assert (other.status, await other.read()) == (200, await own.read())
    assert other.headers["Cache-Control"] == "no-store"


async def test_who_asks_is_known_with_what_they_may_do(gateway: Gateway) -> None:
    document = await (await gateway.client.get("/v1/identity")).json()
    assert document["kind"] == "anonymous"
    assert "runs:read" in document["scopes"]


def test_every_import_is_a_file_of_ours() -> None:
    files = modules()
    for path, text in files.items():
        if not path.endswith(".js"):
            continue
        for name in IMPORT.findall(text):
            assert name.startswith("."), f"{path} imports {name}"
            parts = [*path.split("/")[:-1], *name.split("/")]
            while ".." in parts:
                at = parts.index("..")
                del parts[at - 1 : at + 1]
            assert "/".join(each for each in parts if each != ".") in files, f"{path}: {name}"


async def test_all_of_it_is_small(gateway: Gateway) -> None:
    page = await gateway.client.get("/", headers={**BROWSER, "Accept-Encoding": "gzip"})
    sizes = {"page": int(page.headers["Content-Length"])}
    version = re.findall(r'"/ui/(\w+)/', await page.text())[0]
    for path in modules():
        if path != "index.html":
            file = await gateway.client.head(
                f"/ui/{version}/{path}", headers={"Accept-Encoding": "gzip"}
            )
            sizes[path] = int(file.headers["Content-Length"])
    assert sum(sizes.values()) <= MOST_BYTES, sizes


@pytest.mark.parametrize("path", ["lib/layout.js", "lib/format.js", "ui/html.js"])
async def test_comments_types_and_indentation_are_not_sent(gateway: Gateway, path: str) -> None:
    page = await (await gateway.client.get("/", headers=BROWSER)).text()
    version = re.findall(r'"/ui/(\w+)/', page)[0]
    source = ROOT.joinpath(path).read_text("utf-8")
    sent = await (await gateway.client.get(f"/ui/{version}/{path}")).text()
    lines = map(str.lstrip, source.splitlines())
    wanted = [line for line in lines if not line.startswith(("/", "*"))]
    text = re.sub(r"/\*\* @type .*?\*/ ", "", "".join(wanted))
    assert sent.replace("\n", "") == text
    assert re.findall(r"[;,{(\[]\n", sent) == []
    comments = [comment for line in wanted for comment in re.findall(" // .*", line)]
    assert re.findall(" // .*", sent) == comments


async def test_styles_are_sent_without_space_between_their_parts(gateway: Gateway) -> None:
    page = await (await gateway.client.get("/", headers=BROWSER)).text()
    version = re.findall(r'"/ui/(\w+)/', page)[0]
    sent = await (await gateway.client.get(f"/ui/{version}/style.css")).text()
    source = re.sub(r"/\*.*?\*/", "", ROOT.joinpath("style.css").read_text("utf-8"))
    assert re.sub(r"\s", "", sent) == re.sub(r"\s", "", source)
    assert "*{box-sizing:border-box;}" in sent
    assert ".top nav a[aria-current]{" in sent


def test_libraries_are_those_whose_digests_are_written_down() -> None:
    vendored = ROOT.joinpath("vendor")
    lines = vendored.joinpath("SHA256SUMS").read_text("utf-8").splitlines()
    listed = {name: digest for digest, name in map(str.split, lines)}
    found = {
        each.name: hashlib.sha256(each.read_bytes()).hexdigest()
        for each in vendored.iterdir()
        if each.name.endswith(".js")
    }
    assert found == listed
