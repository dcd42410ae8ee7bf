"""The dashboard: one page for people, and the files that it needs.

The page reads the addresses below by itself. It only uses the API.
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from aiohttp import web

from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.lean_files import lean_script, lean_style
from sluice_gateway.handlers.json_answers import is_known

__all__ = ["PAGE", "dashboard_routes", "send_page"]

PAGE: Final = "text/html"

_ADDRESSES: Final = ("/runs", "/runs/{id}", "/start", "/approvals", "/dead-letters", "/limits")
_KINDS: Final = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_SECURITY: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_IMMUTABLE: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
_NOT_KEPT: Final = {"Cache-Control": "no-store"}


@dataclass(frozen=True, kw_only=True)
class _File:
    """A file, also as gzip has it."""

    body: bytes
    zipped: bytes
    media_type: str


@dataclass(frozen=True, kw_only=True)
class _Dashboard:
    """The page, and the files by their paths; `version` changes with each of them."""

    page: _File
    files: dict[str, _File]
    version: str


def dashboard_routes() -> list[web.RouteDef]:
    """Return the routes of the pages, and that of the files."""
    return [
        *(web.get(address, send_page) for address in _ADDRESSES),
        web.get("/ui/{version}/{path:.+}", _send_file),
    ]


async def send_page(request: web.Request) -> web.Response:
    """Send the page; it finds out by itself what belongs at its address."""
    dashboard = _dashboard()
    caching = {"ETag": f'"{dashboard.version}"', "Cache-Control": "no-cache", "Vary": "Accept"}
    if is_known(request, dashboard.version):
        return web.Response(status=304, headers=caching)
    return _answer(request, dashboard.page, _SECURITY | caching)


async def _send_file(request: web.Request) -> web.Response:
    dashboard = _dashboard()
    file = dashboard.files.get(request.match_info["path"])
    if file is None:
        raise ProblemError.of(ProblemType.NOT_FOUND, "The dashboard has no such file.")
    # While an update goes on, the page may be that of a replica with another version.
    known = request.match_info["version"] == dashboard.version
    return _answer(request, file, _SECURITY | (_IMMUTABLE if known else _NOT_KEPT))


def _answer(request: web.Request, file: _File, headers: dict[str, str]) -> web.Response:
    vary = ", ".join(filter(None, (headers.get("Vary"), "Accept-Encoding")))
    headers = headers | {"Content-Type": f"{file.media_type}; charset=utf-8", "Vary": vary}
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        return web.Response(body=file.zipped, headers=headers | {"Content-Encoding": "gzip"})
    return web.Response(body=file.body, headers=headers)


@cache
def _dashboard() -> _Dashboard:
    """Read the files from the package, once."""
    root = resources.files("sluice_gateway").joinpath("static/dashboard")
    bodies = dict(sorted(_bodies(root)))
    page = bodies.pop("index.html")
    digest = hashlib.sha256(page)
    for path, body in bodies.items():
        digest.update(f"{path}\0{len(body)}\0".encode() + body)
    version = digest.hexdigest()[:16]
    return _Dashboard(
        page=_file(page.replace(b"{root}", f"/ui/{version}".encode()), PAGE),
        files={path: _file(body, _KINDS[_extension(path)]) for path, body in bodies.items()},
        version=version,
    )


def _bodies(folder: Traversable, within: str = "") -> list[tuple[str, bytes]]:
    found = []
    for each in folder.iterdir():
        if each.is_dir():
            found += _bodies(each, f"{within}{each.name}/")
        elif each.name == "index.html" or _extension(each.name) in _KINDS:
            body = each.read_bytes()
            if each.name.endswith(".js"):
                body = lean_script(body.decode()).encode()
            elif each.name.endswith(".css"):
                body = lean_style(body.decode()).encode()
            found.append((f"{within}{each.name}", body))
    return found


def _extension(name: str) -> str:
    return name.rpartition(".")[2]


def _file(body: bytes, media_type: str) -> _File:
    return _File(body=body, zipped=gzip.compress(body, mtime=0), media_type=media_type)
