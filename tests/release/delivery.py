"""Sluice as Argo CD delivers it to the testbed from a fork of this repository."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from testbed.cluster.argo import executor_image
from testbed.cluster.kafka import Kafka
from testbed.cluster.namespaces import store_secret
from testbed.errors import TestbedError
from testbed.gitops.argocd import Settings
from testbed.gitops.gitops import GitOps
from testbed.kubectl import Kubectl
from testbed.testbed import Testbed
from testbed.waiting import wait_until
from tests.release.manifests import refusal
from tests.release.repository import ENVIRONMENT, Repository
from tests.support.client import OUTCOME_SECONDS, Client
from tests.support.kafka import read_all, unique_name
from tests.support.releases import SERVICES, gateway_client, gateway_url

Json = dict[str, Any]

NAMESPACE = "delivered"
RUNS = "delivered-runs"
REFUSED = "refused"
"""The catalogue entry whose runs a policy refuses, so that there can be thousands."""
APPLICATION = "sluice-in-cluster"
"""The one of helm/sluice."""
# Long enough that what a webhook has brought was not found by looking.
_LOOKS = {"timeout.reconciliation": "30s", "timeout.reconciliation.jitter": "0s"}
_SECONDS = 300.0
_ROOT = Path("argocd/root.yaml")
_VALUES = Path("argocd/argo-cd.yaml")


@dataclass(frozen=True)
class Delivery:
    """What was delivered, from which repository, by whom, and the Kafka that it uses."""

    gitops: GitOps
    repository: Repository
    kafka: Kafka

    @property
    def kubectl(self) -> Kubectl:
        """The administrator, who means Sluice's namespace."""
        return self.gitops.testbed.kubectl().within(NAMESPACE)

    # -- Sluice's user

    def url(self) -> str:
        """Return where the gateway's Service answers."""
        return gateway_url(self.kubectl)

    def client(self) -> AbstractAsyncContextManager[Client]:
        """Talk to the gateway's Service."""
        return gateway_client(self.kubectl)

    async def greeting(self) -> str:
        """Return what the gateway says first."""
        async with self.client() as client, client.http.get("/") as response:
            message: str = (await response.json())["message"]
            return message

    async def outcomes(self, run_ids: Collection[str]) -> list[str]:
        """Return the run of each outcome, once there are as many outcomes as ids."""
        wanted = set(run_ids)
        found: list[str] = []
        async with asyncio.timeout(OUTCOME_SECONDS):
            while len(found) < len(wanted):
                records = await read_all(self.kafka, "sluice.results")
                found = [run for each in records if (run := _run_of(each.value)) in wanted]
        return found

    # -- its owner

    def build(self, *, broken: bool = False) -> str:
        """Give the node images of all services under a tag of their own, and return it."""
        testbed, tag = self.gitops.testbed, unique_name("v")
        for service in SERVICES:
            image = f"docker.io/library/sluice-{service}"
            # Argo's executor knows nothing to do without arguments, and ends.
            crashing = executor_image(testbed.versions.argo_lines[0])
            testbed.tag_image(crashing if broken else f"{image}:dev", f"{image}:{tag}")
        return tag

    def tag(self) -> str:
        """Return the tag that git asks for."""
        tag: str = self.repository.values()["image"]["tag"]
        return tag

    def change_sluice(self, *, tag: str, greeting: str) -> None:
        """Write a greeting and a tag into the environment's values, and nothing else."""

        def changed(values: Json) -> Json:
            values["image"]["tag"] = tag
            values["gateway"]["settings"]["http"]["greeting"] = greeting
            return values

        self.repository.change_values(changed)

    def push(self, message: str) -> str:
        """Commit what was changed, have the git server call the webhook, return the commit."""
        return self._announced(lambda: self.repository.commit(message))

    def push_revert(self) -> str:
        """Take the last commit back in the same way."""
        return self._announced(self.repository.revert)

    def _announced(self, push: Callable[[], str]) -> str:
        before, asked = self.repository.head(), self._times_asked()
        commit = push()
        self.gitops.call_webhook(before=before, after=commit)
        self.await_(lambda: self._times_asked() > asked, what="The webhook's request to look")
        return commit

    def _times_asked(self) -> int:
        """Return how often a webhook has had Argo CD look at the Application."""
        log = self.gitops.testbed.processes().log_file("argocd-server")
        return log.read_text("utf-8", "replace").count(f"Requested app '{APPLICATION}' refresh")

    # -- who looks on

    def tags(self) -> set[str]:
        """Return the tags of all images that the pods of the services run."""
        pods = self.kubectl.get("pods", "--selector=app.kubernetes.io/instance=sluice")["items"]
        named = [pod["spec"]["containers"][0]["image"] for pod in pods if not _is_job(pod)]
        return {image.rpartition(":")[2] for image in named}

    def await_tags(self, holds: Callable[[set[str]], bool]) -> None:
        """Return once that holds of the tags."""
        self.await_(lambda: holds(self.tags()), what="Pods of the new images")

    def await_health(self, health: str, *, commit: str, name: str = APPLICATION) -> None:
        """Return once an Application has that health at that commit; Healthy: all of it is there.

        Raises:
            TestbedError: not in time, with what Argo CD says of it.
        """

        def has_arrived() -> bool:
            status = self._status(name)
            if status.get("health", {}).get("status") != health:
                return False
            here: bool = status["sync"].get("revision") == commit
            ended: bool = status.get("operationState", {}).get("phase") == "Succeeded"
            synced: bool = status["sync"]["status"] == "Synced"
            return here and (health != "Healthy" or (ended and synced))

        try:
            self.await_(has_arrived, what=f"{name} to be {health} at {commit}")
        except TestbedError as error:
            raise TestbedError(f"{error}\n{json.dumps(self._status(name), indent=1)}") from error

    def retries(self) -> int:
        """Return how often the last sync was tried again before it succeeded."""
        count: int = self._status(APPLICATION)["operationState"].get("retryCount", 0)
        return count

    def await_(self, holds: Callable[[], bool], *, what: str) -> None:
        """Return once something holds; a look is a kubectl, and so dear."""
        wait_until(holds, what=what, seconds=_SECONDS, every=1.0)

    def _status(self, name: str) -> Json:
        with contextlib.suppress(TestbedError):
            status: Json = self.gitops.kubectl.get("application", name).get("status", {})
            return status
        return {}


def _run_of(value: bytes | None) -> str | None:
    run: str | None = json.loads(value)["run_id"] if value else None
    return run


def _is_job(pod: Json) -> bool:
    return "batch.kubernetes.io/job-name" in pod["metadata"]["labels"]


def root_application(gitops: GitOps) -> Json:
    """Return the root Application as a fork's owner changes it: whose it is, and for what."""
    root: Json = yaml.safe_load(_ROOT.read_text("utf-8"))
    source = root["spec"]["source"]
    source["repoURL"] = gitops.repository_url
    source["helm"]["valueFiles"] = [f"../environments/{ENVIRONMENT}/root.yaml"]
    return root


@contextlib.contextmanager
def delivered(testbed: Testbed, tree: Path, *, kafka: Kafka) -> Iterator[Delivery]:
    """Give Argo CD an empty cluster and the root Application, and end all of it afterwards."""
    gitops = GitOps(testbed, Settings.read(_VALUES).with_cm(_LOOKS))
    facts = {"kafka-mode": "", "kafka-bootstrap": kafka.bootstrap_servers}
    gitops.start(
        cluster={
            "labels": {"sluice.dev/environment": ENVIRONMENT},
            "annotations": {f"sluice.dev/{name}": fact for name, fact in facts.items()},
        }
    )
    kubectl = testbed.kubectl()
    try:
        repository = Repository.fork(tree, remote=gitops.repository)
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": RUNS}}
        kubectl.apply([namespace, store_secret(RUNS), *refusal(RUNS, workflow=REFUSED)])
        gitops.kubectl.apply([root_application(gitops)])
        yield Delivery(gitops, repository, kafka)
    finally:
        gitops.stop()
        for namespace_of in (RUNS, NAMESPACE, "argocd"):
            kubectl("delete", "namespace", namespace_of, "--ignore-not-found", "--wait=false")
        for kind in ("policy", "policybinding"):
            names = [each["metadata"]["name"] for each in refusal(RUNS, workflow=REFUSED)]
            kubectl("delete", f"validatingadmission{kind}", names[0], "--ignore-not-found")
