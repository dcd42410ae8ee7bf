"""A registry of images, asked by its HTTP API with the credentials of `docker login`."""

import base64
import json
import os
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from http.client import HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO, Any

from scripts.releasing.repository import ReleaseError

__all__ = ["HttpRegistry", "docker_folder"]

_SECONDS = 30
# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def docker_folder() -> Path:
    """Return the folder in which `docker login` keeps credentials."""
    return Path(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker"))


@dataclass(frozen=True)
class HttpRegistry:
    """The registries that images name, each by its own address.

    ``docker``: the folder of docker's ``config.json``; without one, registries are asked
    anonymously.
    """

    docker: Path = field(default_factory=docker_folder)

    def digest(self, image: str) -> str | None:
        """Return the digest that a tag names, as `sha256:…`; None: there is no such image.

        Raises:
            ReleaseError: the registry cannot be asked, or does not let this user read.
        """
        host, _, path = image.partition("/")
        repository, _, tag = path.rpartition(":")
        if not repository:
            raise ReleaseError(f"{image} is not an image; it has to be REGISTRY/REPOSITORY:TAG")
        url = f"{_origin(host)}/v2/{repository}/manifests/{tag}"
        status, headers = _head(url, authorization=None)
        if status == HTTPStatus.UNAUTHORIZED:
            status, headers = _head(url, authorization=self._authorization(host, headers))
        if status == HTTPStatus.NOT_FOUND:
            return None
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise ReleaseError(f"{host} does not let you read {image}; `docker login {host}` first")
        digest = headers.get("Docker-Content-Digest", "")
        if status != HTTPStatus.OK or not _DIGEST.fullmatch(digest):
            raise ReleaseError(f"{host} answered {status} to a question about {image}")
        return digest

    def _authorization(self, host: str, headers: Message) -> str | None:
        """Return the header that the registry's challenge asks for."""
        scheme, _, rest = headers.get("WWW-Authenticate", "").partition(" ")
        basic = self._basic(host)
        if scheme.lower() != "bearer":
            return basic
        asked = dict(_PARAMETER.findall(rest))
        realm = asked.pop("realm", "")
        where = urllib.parse.urlsplit(realm)
        # Credentials go to nobody in clear text.
        if where.scheme != "https" and not _is_this_machine(where.netloc):
            raise ReleaseError(f"{host} wants credentials sent to {realm!r}, which is not https")
        status, document = _get(f"{realm}?{urllib.parse.urlencode(asked)}", authorization=basic)
        if status != HTTPStatus.OK:
            return basic
        token = document.get("token") or document.get("access_token") or ""
        return f"Bearer {token}"

    def _basic(self, host: str) -> str | None:
        file = self.docker / "config.json"
        config: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
        helper = config.get("credHelpers", {}).get(host) or config.get("credsStore")
        if helper:
            return _of_helper(f"docker-credential-{helper}", host)
        encoded = config.get("auths", {}).get(host, {}).get("auth")
        return f"Basic {encoded}" if encoded else None


def _of_helper(program: str, host: str) -> str | None:
    """Return what a credential helper of docker knows of a registry."""
    try:
        done = subprocess.run(  # noqa: S603 (named by docker's own configuration)
            [program, "get"], input=host, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise ReleaseError(
            f"docker's config.json names the credential helper {program}, which is not installed"
        ) from None
    if done.returncode != 0:
        return None
    known = json.loads(done.stdout)
    text = f"{known['Username']}:{known['Secret']}"
    return f"Basic {base64.b64encode(text.encode()).decode()}"


def _origin(host: str) -> str:
    return f"http://{host}" if _is_this_machine(host) else f"https://{host}"


def _is_this_machine(host: str) -> bool:
    return host.partition(":")[0] in ("localhost", "127.0.0.1")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows nothing: urllib would send the credentials along."""

    def redirect_request(
        self,
        req: urllib.request.Request,  # noqa: ARG002 (urllib's interface)
        fp: IO[bytes],  # noqa: ARG002
        code: int,  # noqa: ARG002
        msg: str,  # noqa: ARG002
        headers: HTTPMessage,  # noqa: ARG002
        newurl: str,  # noqa: ARG002
    ) -> None:
        return None


def _head(url: str, *, authorization: str | None) -> tuple[int, Message]:
    status, headers, _ = _asked(url, method="HEAD", authorization=authorization)
    return status, headers


def _get(url: str, *, authorization: str | None) -> tuple[int, Mapping[str, Any]]:
    status, _, body = _asked(url, method="GET", authorization=authorization)
    return status, json.loads(body) if status == HTTPStatus.OK else {}


def _asked(url: str, *, method: str, authorization: str | None) -> tuple[int, Message, bytes]:
    request = urllib.request.Request(url, method=method)  # noqa: S310 (http or https, see _origin)
    request.add_header("Accept", ", ".join(_MANIFESTS))
    if authorization:
        request.add_header("Authorization", authorization)
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        answer: HTTPResponse
        with opener.open(request, timeout=_SECONDS) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, b""
    except OSError as error:
        host = urllib.parse.urlsplit(url).netloc
        raise ReleaseError(f"{host} cannot be asked: {error}") from error
