"""What the release script learns from a registry: a real one, and the stand-in of other tests."""

import contextlib
import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.releasing.registry import HttpRegistry
from scripts.releasing.repository import ReleaseError
from sluice_local.ports import free_ports
from testbed.waiting import wait_until
from tests.gitops import stand_in_registry
from tests.gitops.stand_in_registry import PASSWORD, USER, Access, StandIn
from tests.support.stock import built_program

# `htpasswd -nbB ada of-a-test`
HTPASSWD = "ada:$2y$05$abcdefghijklmnopqrstuuRKNLYzBA4JxdsvRfeJDQ.VYjlD1qqz.\n"


@dataclass(frozen=True)
class Distribution:
    """CNCF's Distribution, which Docker and others serve images with."""

    host: str

    def push(self, repository: str, tag: str, *, content: str) -> str:
        """Put an image under a tag, and return its digest."""
        return stand_in_registry.push(self.host, repository, tag, content=content)


@contextlib.contextmanager
def distribution(folder: Path, access: Access) -> Iterator[Distribution]:
    program = built_program("registry")
    host = f"127.0.0.1:{free_ports(1)[0]}"
    (folder / "htpasswd").write_text(HTPASSWD, "ascii")
    config = {
        "version": "0.1",
        "log": {"level": "error"},
        "storage": {"inmemory": {}},
        "http": {"addr": host},
    }
    if access == "basic":
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    (folder / "config.yml").write_text(json.dumps(config), "ascii")
    log = folder / "registry.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "serve", folder / "config.yml"], stdout=output, stderr=output
        )
        try:
            wait_until(
                lambda: process.poll() is not None or answers(host),
                what="The registry's start",
                seconds=30,
            )
            assert process.poll() is None, log.read_text("utf-8")
            yield Distribution(host)
        finally:
            process.terminate()
            process.wait(30)


def answers(host: str) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", int(host.rpartition(":")[2])), timeout=5).close()
        return True
    return False


Served = Callable[[Access], AbstractContextManager[StandIn | Distribution]]


@pytest.fixture(params=["stand-in", pytest.param("distribution", marks=pytest.mark.charts)])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Served:
    if request.param == "stand-in":
        return stand_in_registry.serving
    return lambda access: distribution(tmp_path, access)


@pytest.fixture
def docker(tmp_path: Path) -> Path:
    """Docker's folder, in which nobody has logged in."""
    folder = tmp_path / "docker"
    folder.mkdir()
    return folder


def log_in(docker: Path, host: str, *, password: str = PASSWORD) -> None:
    encoded = stand_in_registry.basic(password).removeprefix("Basic ")
    config = {"auths": {host: {"auth": encoded}}}
    (docker / "config.json").write_text(json.dumps(config), "ascii")


def test_a_tag_names_the_digest_of_what_was_pushed(served: Served, docker: Path) -> None:
    with served("open") as registry:
        first = registry.push("a/b", "1", content="one")
        other = registry.push("a/b", "2", content="two")
        asking = HttpRegistry(docker)
        assert asking.digest(f"{registry.host}/a/b:1") == first != other
        assert asking.digest(f"{registry.host}/a/b:2") == other


def test_what_is_not_there_is_not_a_fault(served: Served, docker: Path) -> None:
    with served("open") as registry:
        registry.push("a/b", "1", content="one")
        asking = HttpRegistry(docker)
        assert asking.digest(f"{registry.host}/a/b:3") is None
        assert asking.digest(f"{registry.host}/nowhere:1") is None


def test_a_registry_with_passwords_is_asked_with_those_of_docker_login(
    served: Served, docker: Path
) -> None:
    with served("basic") as registry:
        pushed = registry.push("a/b", "1", content="one")
        asking = HttpRegistry(docker)
        with pytest.raises(ReleaseError, match=f"docker login {registry.host}"):
            asking.digest(f"{registry.host}/a/b:1")
        log_in(docker, registry.host)
        assert asking.digest(f"{registry.host}/a/b:1") == pushed
        assert asking.digest(f"{registry.host}/a/b:2") is None
        log_in(docker, registry.host, password="another")
        with pytest.raises(ReleaseError, match="does not let you read"):
            asking.digest(f"{registry.host}/a/b:1")


@pytest.mark.parametrize("config", ['{"credsStore": "test"}', '{"credHelpers": {"HOST": "test"}}'])
def test_a_password_may_be_kept_by_a_helper_of_docker(
    config: str, served: Served, docker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{docker}:/usr/bin:/bin")
    with served("basic") as registry:
        (docker / "config.json").write_text(config.replace("HOST", registry.host), "ascii")
        with pytest.raises(ReleaseError, match="docker-credential-test, which is not installed"):
            HttpRegistry(docker).digest(f"{registry.host}/a/b:1")
        helper = docker / "docker-credential-test"
        known = json.dumps({"ServerURL": registry.host, "Username": USER, "Secret": PASSWORD})
        helper.write_text(f'#!/bin/sh\n[ "$1 $(cat)" = "get {registry.host}" ] && echo \'{known}\'')
        helper.chmod(0o755)
        pushed = registry.push("a/b", "1", content="one")
        assert HttpRegistry(docker).digest(f"{registry.host}/a/b:1") == pushed


def test_a_registry_may_send_its_users_for_a_token(docker: Path) -> None:
    """As ghcr.io does; the real registry would need a server of tokens."""
    with stand_in_registry.serving("bearer") as registry:
        pushed = registry.push("a/b", "1", content="one")
        with pytest.raises(ReleaseError, match="docker login"):
            HttpRegistry(docker).digest(f"{registry.host}/a/b:1")
        log_in(docker, registry.host)
        assert HttpRegistry(docker).digest(f"{registry.host}/a/b:1") == pushed


def test_nobody_is_followed_who_sends_elsewhere(docker: Path) -> None:
    """The credentials would go along."""
    with stand_in_registry.serving() as registry, pytest.raises(ReleaseError, match="answered 307"):
        HttpRegistry(docker).digest(f"{registry.host}/moved:1")


def test_a_registry_that_is_not_there_is_an_error(docker: Path) -> None:
    host = f"127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(ReleaseError, match=f"{host} cannot be asked"):
        HttpRegistry(docker).digest(f"{host}/a/b:1")


def test_a_name_without_a_registry_is_an_error(docker: Path) -> None:
    with pytest.raises(ReleaseError, match="REGISTRY/REPOSITORY:TAG"):
        HttpRegistry(docker).digest("sluice")
