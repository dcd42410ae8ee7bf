"""Argo CD on a testbed that is up, with a git server whose one repository it may read."""

import hashlib
import hmac
import json
import shutil
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from testbed.building.commands import run
from testbed.gitops import argocd, git_server
from testbed.gitops.argocd import (
    NAMESPACE,
    REPO_SERVER_METRICS_URL,
    SERVER_URL,
    Programs,
    Settings,
)
from testbed.kubectl import Kubectl
from testbed.machine.addresses import NODE
from testbed.machine.processes import Program
from testbed.testbed import Testbed
from testbed.waiting import wait_until

_GIT_PORT = 9418
_WEBHOOK_SECRET = "testbed-webhook"
_READY_SECONDS = 120.0


@dataclass(frozen=True)
class GitOps:
    """Argo CD of one testbed; ``settings`` are those of the chart."""

    testbed: Testbed
    settings: Settings

    @property
    def repository(self) -> Path:
        """The bare repository, to push to."""
        return self._state / "git" / "sluice.git"

    @property
    def repository_url(self) -> str:
        """The URL under which Argo CD reads it."""
        return f"http://{NODE}:{_GIT_PORT}/{self.repository.name}"

    @property
    def kubectl(self) -> Kubectl:
        """Kubectl as the administrator, in Argo CD's namespace."""
        return self.testbed.kubectl().within(NAMESPACE)

    def start(self, *, cluster: Mapping[str, Mapping[str, str]]) -> None:
        """Start it all, on a cluster whose Secret has these labels and annotations.

        Raises:
            TestbedError: a part ended, or is not ready in time.
        """
        shutil.rmtree(self.repository, ignore_errors=True)
        run(["git", "init", "--quiet", "--bare", "--initial-branch=main", self.repository])
        kubectl = self.testbed.kubectl()
        kubectl.define(sorted((self.testbed.programs.stock.definitions() / "argo-cd").iterdir()))
        kubectl.apply(
            argocd.manifests(self.settings, cluster=cluster, webhook_secret=_WEBHOOK_SECRET)
        )
        for program in self._programs():
            self.testbed.start(program)
        # A program that asks earlier is refused, and retries only after minutes.
        refs = f"{self.repository_url}/info/refs?service=git-upload-pack"
        self._await("git-server", refs)
        self._await("argocd-repo-server", f"{REPO_SERVER_METRICS_URL}/healthz")
        self._await("argocd-server", f"{SERVER_URL}/healthz")

    def stop(self) -> None:
        """Stop its programs."""
        processes = self.testbed.processes()
        for program in reversed(self._programs()):
            processes.stop(program.name)

    def call_webhook(self, *, before: str, after: str) -> None:
        """Send Argo CD the webhook of a push to main, as GitHub would.

        https://docs.github.com/en/webhooks/webhook-events-and-payloads#push
        """
        web = self.repository_url.removesuffix(".git")
        pushed = {
            "ref": "refs/heads/main",
            "before": before,
            "after": after,
            "repository": {"html_url": web, "default_branch": "main"},
            "commits": [],
        }
        body = json.dumps(pushed).encode()
        signature = hmac.new(_WEBHOOK_SECRET.encode(), body, hashlib.sha256).hexdigest()
        request = urllib.request.Request(  # noqa: S310 (our own server)
            f"{SERVER_URL}/api/webhook",
            data=body,
            headers={
                "Content-Type": "application/json",
                "X-GitHub-Event": "push",
                "X-Hub-Signature-256": f"sha256={signature}",
            },
        )
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310
            pass

    def _programs(self) -> list[Program]:
        stock = self.testbed.programs.stock
        parts = Programs(
            built=stock.program("argocd", "argocd"),
            helm=stock.program("helm", "helm"),
            kubeconfig=self.testbed.kubeconfig(),
            state=self._state / "argocd",
            settings=self.settings,
        )
        serving = [sys.executable, "-m", git_server.__name__]
        place = [str(self.repository.parent), NODE, str(_GIT_PORT)]
        return [Program(name="git-server", command=[*serving, *place]), *parts.all()]

    @property
    def _state(self) -> Path:
        return self.testbed.folders.state / "gitops"

    def _await(self, program: str, url: str) -> None:
        processes = self.testbed.processes()
        wait_until(
            lambda: _answers(url),
            what=f"{program} to be ready",
            seconds=_READY_SECONDS,
            gave_up=lambda: processes.why_not(program),
        )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310 (our own servers)
            return True
    except OSError:
        return False
