"""The policy of images, as a real API server applies it to pods."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.stock import Stock
from testbed.testbed import Testbed
from testbed.waiting import wait_until
from tests.charts.rendering import CHART

pytestmark = pytest.mark.cluster

Json = dict[str, Any]

OURS = "registry.example.com/sluice/sluice-gateway:a"
ALLOWED = "quay.io/argoproj/argoexec:v4"
SECURE = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(*images: str, init: tuple[str, ...] = (), name: str = "a") -> Json:
    """Return a pod of these images that nobody would start."""

    def containers(some: tuple[str, ...], prefix: str) -> list[Json]:
        return [
            {"name": f"{prefix}{number}", "image": image, "securityContext": SECURE}
            for number, image in enumerate(some)
        ]

    spec = {"containers": containers(images, "c"), "initContainers": containers(init, "i")}
    # No node has this label, so that nothing is pulled.
    spec["nodeSelector"] = {"nowhere": "true"}  # type: ignore[assignment]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


class Asked:
    """An API server and the namespace that the policy is about."""

    def __init__(self, testbed: Testbed, namespace: str) -> None:
        kubectl = testbed.kubectl()
        self.command = [str(kubectl.program), f"--kubeconfig={kubectl.kubeconfig}", "-n", namespace]

    def says(self, what: Json, *how: str) -> str:
        """Return why it refuses an object; "": it does not."""
        done = subprocess.run(
            [*self.command, "apply", "--server-side", *how, "-f", "-"],
            input=json.dumps(what),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stderr if done.returncode else ""


@pytest.fixture
def asked(testbed: Testbed, namespace: str, tmp_path: Path) -> Iterator[Asked]:
    """Have the policy of the chart about an empty namespace in force."""
    helm = Stock(testbed.versions, cache=testbed.folders.cache).program("helm", "helm")
    values = {
        "image": {"registry": "registry.example.com"},
        "workflows": {"namespace": namespace},
        "gateway": {"auth": {"mode": "none"}},
        "imagePolicy": {"enabled": True, "allowed": ["quay.io/argoproj/"]},
    }
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(values), "utf-8")
    template = "templates/image-policy.yaml"
    rendered = subprocess.check_output(
        [helm, "template", "sluice", CHART, "-f", file, "-s", template, "-n", namespace], text=True
    )
    asked = Asked(testbed, namespace)
    subprocess.run([*asked.command, "apply", "-f", "-"], input=rendered, text=True, check=True)
    try:
        # A policy is in force some time after it was made.
        wait_until(
            lambda: asked.says(pod("docker.io/library/busybox"), "--dry-run=server") != "",
            what="The policy",
            seconds=60,
        )
        yield asked
    finally:
        subprocess.run([*asked.command, "delete", "-f", "-"], input=rendered, text=True, check=True)


def test_pods_run_images_of_the_registries_that_are_named(asked: Asked) -> None:
    by_digest = OURS.replace(":a", f"@sha256:{64 * '0'}")
    for good in (pod(OURS), pod(by_digest), pod(OURS, ALLOWED, init=(ALLOWED,))):
        assert asked.says(good, "--dry-run=server") == ""
    for image in (
        "busybox",
        "quay.io/other/argoexec:v4",
        "evil.example.com/quay.io/argoproj/argoexec",
        "registry.example.com/sluice/sluice-gateway-of-another:a",
    ):
        for bad in (pod(image), pod(OURS, image), pod(OURS, init=(image,))):
            assert f"does not have the registry of {image}" in asked.says(bad, "--dry-run=server")


def test_a_pod_is_held_to_it_when_its_images_change_and_not_before(asked: Asked) -> None:
    assert asked.says(pod(OURS)) == ""
    assert "registry of busybox" in asked.says(pod("busybox"), "--force-conflicts")
    labelled = pod(OURS)
    labelled["metadata"]["labels"] = {"seen": "true"}
    assert asked.says(labelled) == ""


def test_a_container_for_debugging_is_held_to_it_too(asked: Asked) -> None:
    assert asked.says(pod(OURS)) == ""
    added = {"spec": {"ephemeralContainers": [{"name": "e", "image": "busybox"}]}}
    how = ("patch", "pod", "a", "--subresource=ephemeralcontainers", f"--patch={json.dumps(added)}")
    done = subprocess.run([*asked.command, *how], capture_output=True, text=True, check=False)
    assert "registry of busybox" in done.stderr


@pytest.mark.usefixtures("asked")
def test_other_namespaces_are_not_held_to_it(testbed: Testbed) -> None:
    assert Asked(testbed, "default").says(pod("busybox"), "--dry-run=server") == ""
