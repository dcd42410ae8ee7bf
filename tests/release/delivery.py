"""Sluice as Argo CD delivers it to the testbed from a fork of this repository."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from testbed.cluster.argo import STORE_PASSWORD, STORE_SECRET, STORE_USER
from testbed.errors import TestbedError
from testbed.gitops.argocd import Settings
from testbed.gitops.gitops import GitOps
from testbed.kubectl import Kubectl
from testbed.testbed import Testbed
from testbed.waiting import wait_until
from tests.release.repository import ENVIRONMENT, Repository

Json = dict[str, Any]

NAMESPACE = "delivered"
RUNS = "delivered-runs"
SLUICE = "sluice-in-cluster"
"""The Application of helm/sluice."""
_ROOT = Path("argocd/root.yaml")
_SECONDS = 300.0


@dataclass(frozen=True)
class Delivery:
    """What was delivered, the repository that it is delivered from, and who delivers."""

    gitops: GitOps
    repository: Repository

    @property
    def kubectl(self) -> Kubectl:
        """The administrator, who means Sluice's namespace."""
        return self.gitops.testbed.kubectl().within(NAMESPACE)

    def url(self) -> str:
        """Return where the gateway's Service answers."""
        service = self.kubectl.get("service", "sluice-gateway")["spec"]
        return f"http://{service['clusterIP']}:{service['ports'][0]['port']}"

    def announce(self, commit: str, *, before: str) -> None:
        """Call the webhook, as the git server's owner would have it do."""
        self.gitops.call_webhook(before=before, after=commit)

    def release(self, message: str) -> str:
        """Commit what was changed, tell Argo CD of it, and return the commit."""
        before = self.repository.head()
        commit = self.repository.commit(message)
        self.announce(commit, before=before)
        return commit

    def application(self, name: str = SLUICE) -> Json:
        """Return the status of an Application; empty if there is none yet."""
        with contextlib.suppress(TestbedError):
            status: Json = self.gitops.kubectl.get("application", name).get("status", {})
            return status
        return {}

    def await_health(self, health: str, *, commit: str, name: str = SLUICE) -> None:
        """Return once an Application has that health at that commit, or a later one, as synced.

        Raises:
            TestbedError: not in time, with what Argo CD says of it.
        """

        def has_arrived() -> bool:
            status = self.application(name)
            operation = status.get("operationState", {})
            return (
                status.get("health", {}).get("status") == health
                and operation.get("syncResult", {}).get("revision") == commit
                and (health != "Healthy" or operation.get("phase") == "Succeeded")
            )

        try:
            wait_until(has_arrived, what=f"{name} to be {health} at {commit}", seconds=_SECONDS)
        except TestbedError as error:
            said = json.dumps(self.application(name), indent=1)
            raise TestbedError(f"{error}\n{said}") from error

    def workloads(self) -> Mapping[str, Json]:
        """Return the three workloads by the names of their services."""
        found = self.kubectl.get("deployments,statefulsets")["items"]
        part = "app.kubernetes.io/component"
        return {each["metadata"]["labels"][part]: each for each in found}


def root_application(gitops: GitOps) -> Json:
    """Return the root Application as a fork's owner changes it: whose it is, and for what."""
    root: Json = yaml.safe_load(_ROOT.read_text("utf-8"))
    source = root["spec"]["source"]
    source["repoURL"] = gitops.repository_url
    source["helm"]["valueFiles"] = [f"../environments/{ENVIRONMENT}/root.yaml"]
    return root


@contextlib.contextmanager
def delivered(testbed: Testbed, tree: Path, *, kafka: str) -> Iterator[Delivery]:
    """Give Argo CD an empty cluster and the root Application; there is Sluice while the body runs."""
    gitops = GitOps(testbed, Settings.read(Path("argocd/argo-cd.yaml")))
    gitops.start(
        cluster={
            "labels": {"sluice.dev/environment": ENVIRONMENT},
            "annotations": {"sluice.dev/kafka-mode": "", "sluice.dev/kafka-bootstrap": kafka},
        }
    )
    try:
        delivery = Delivery(gitops, Repository.fork(tree, remote=gitops.repository))
        kubectl = testbed.kubectl()
        kubectl.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": RUNS}}])
        kubectl.apply([_store_secret()])
        gitops.kubectl.apply([root_application(gitops)])
        yield delivery
    finally:
        gitops.stop()
        kubectl = testbed.kubectl()
        for namespace in (RUNS, NAMESPACE, "argocd"):
            kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")


def _store_secret() -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": STORE_SECRET, "namespace": RUNS},
        "stringData": {"user": STORE_USER, "password": STORE_PASSWORD},
    }
