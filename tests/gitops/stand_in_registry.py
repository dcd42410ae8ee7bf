"""A stand-in for a registry of images: manifests by tag, and the three ways to ask who is there.

tests/gitops/test_registry.py holds it and the real one to the same suite.
"""

import base64
import contextlib
import hashlib
import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Access = Literal["open", "basic", "bearer"]

USER, PASSWORD = "ada", "of-a-test"
INDEX = "application/vnd.oci.image.index.v1+json"
_TOKEN = "a-token-of-a-test"


@dataclass
class StandIn:
    """The registry behind an address."""

    access: Access
    host: str
    manifests: dict[str, bytes] = field(default_factory=dict)
    """By `repository:tag`."""

    def push(self, repository: str, tag: str, *, content: str) -> str:
        """Put an image under a tag, and return its digest."""
        return push(self.host, repository, tag, content=content)

    def expects(self) -> str:
        """Return the header that lets a request through."""
        return f"Bearer {_TOKEN}" if self.access == "bearer" else basic()

    def challenge(self) -> str:
        """Return how a request without that header is answered."""
        if self.access == "basic":
            return 'Basic realm="stand-in"'
        realm = f'realm="http://{self.host}/token"'
        return f'Bearer {realm},service="stand-in",scope="repository:a/b:pull"'


def basic(password: str = PASSWORD) -> str:
    """Return the header of the user and a password."""
    return "Basic " + base64.b64encode(f"{USER}:{password}".encode()).decode()


def push(host: str, repository: str, tag: str, *, content: str) -> str:
    """Put an index without images, which is the smallest manifest, into a registry.

    ``content`` makes its digest differ from others.
    """
    manifest = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [],
        "annotations": {"content": content},
    }
    body = json.dumps(manifest).encode()
    connection = http.client.HTTPConnection(host)
    path = f"/v2/{repository}/manifests/{tag}"
    connection.request(
        "PUT", path, body=body, headers={"Content-Type": INDEX, "Authorization": basic()}
    )
    answer = connection.getresponse()
    assert answer.status == 201, answer.read()
    connection.close()
    return digest_of(body)


def digest_of(manifest: bytes) -> str:
    """Return the digest of an image."""
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


class _Server(ThreadingHTTPServer):
    registry: StandIn


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_PUT(self) -> None:
        self.server.registry.manifests[self._image()] = self.rfile.read(
            int(self.headers["Content-Length"])
        )
        self._answer(201)

    def do_HEAD(self) -> None:
        registry = self.server.registry
        if registry.access != "open" and self.headers["Authorization"] != registry.expects():
            self._answer(401, headers={"WWW-Authenticate": registry.challenge()})
        elif self._image().startswith("moved:"):
            self._answer(307, headers={"Location": "http://other.example.com/"})
        elif (body := registry.manifests.get(self._image())) is None:
            self._answer(404)
        else:
            assert INDEX in self.headers["Accept"]
            self._answer(200, headers={"Docker-Content-Digest": digest_of(body)})

    def do_GET(self) -> None:
        """Hand out a token, as the realm of the challenge."""
        if self.headers["Authorization"] != basic():
            self._answer(401)
            return
        assert self.path == "/token?service=stand-in&scope=repository%3Aa%2Fb%3Apull"
        self._answer(200, json.dumps({"token": _TOKEN}).encode())

    def _image(self) -> str:
        return self.path.removeprefix("/v2/").replace("/manifests/", ":")

    def _answer(
        self, status: int, body: bytes = b"", *, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@contextlib.contextmanager
def serving(access: Access = "open") -> Iterator[StandIn]:
    """Serve an empty registry on a port of its own."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.registry = StandIn(access, host=f"127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.registry
        finally:
            server.shutdown()
            thread.join()
