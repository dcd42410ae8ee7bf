"""Serve git repositories over HTTP, by git's own `git http-backend` (git-http-backend(1)).

It stands where GitHub or GitLab would. Argo CD finds a repository's Applications for a webhook by
its address, which must be one of HTTP or SSH.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_BACKEND = ["git", "http-backend"]


class GitServer(ThreadingHTTPServer):
    """Serves all repositories below a folder, read-only."""

    def __init__(self, folder: Path, *, host: str, port: int) -> None:
        super().__init__((host, port), _Handler)
        self.folder = folder


class _Handler(BaseHTTPRequestHandler):
    server: GitServer

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path, _, query = self.path.partition("?")
        asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        variables = {
            "GIT_PROJECT_ROOT": str(self.server.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            **_meta_variables(self.headers),
        }
        done = subprocess.run(
            _BACKEND, input=asked, env={**os.environ, **variables}, capture_output=True, check=True
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode("ascii").split("\r\n"))
        self.send_response_only(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _meta_variables(headers: "Message[str, str]") -> Mapping[str, str]:
    """Return the meta-variables of the Common Gateway Interface (RFC 3875) for headers."""
    named = {
        "CONTENT_TYPE": "Content-Type",
        "CONTENT_LENGTH": "Content-Length",
        "HTTP_CONTENT_ENCODING": "Content-Encoding",
        "HTTP_GIT_PROTOCOL": "Git-Protocol",
    }
    return {variable: value for variable, name in named.items() if (value := headers.get(name))}


if __name__ == "__main__":
    GitServer(Path(sys.argv[1]), host=sys.argv[2], port=int(sys.argv[3])).serve_forever()
