"""The pulumi command, set up so that it asks nobody outside of this computer for anything."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
from pulumi.runtime.proto import language_pb2_grpc, provider_pb2_grpc

from tests.pulumi.engine.echo_provider import EchoProvider
from tests.pulumi.engine.language_host import LanguageHost

PROJECT = Path(__file__).parents[3] / "pulumi"
PACK = PROJECT / "policy"
PROVIDERS = ("aws", "kubernetes")
_BIN = Path(__file__).parent / "bin"


@dataclass(frozen=True, kw_only=True)
class StandIns:
    """Ports of what stands in for plugins."""

    language: int
    provider: int


@contextmanager
def stand_ins() -> Iterator[StandIns]:
    """Serve a language host and a provider on this computer's loopback."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageHost(), server)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(EchoProvider(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield StandIns(language=port, provider=port)
    finally:
        server.stop(grace=None).wait()


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended."""

    code: int
    output: str
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def summary(self) -> dict[str, int]:
        """How many resources were, or would be, created, updated and so on."""
        [found] = [each["summaryEvent"] for each in self.events if "summaryEvent" in each]
        changes: dict[str, int] = found["resourceChanges"]
        return changes

    @property
    def violations(self) -> list[str]:
        """The violations that the policy pack found, as name and message."""
        found = [each["policyEvent"] for each in self.events if "policyEvent" in each]
        return [f"{each['policyName']}: {each['message']}" for each in found]

    @property
    def packs(self) -> list[str]:
        """The policy packs that looked."""
        [found] = [each["summaryEvent"] for each in self.events if "summaryEvent" in each]
        return sorted(found.get("PolicyPacks") or {})

    @property
    def wanted(self) -> dict[str, dict[str, Any]]:
        """What every resource is to be, by URN."""
        steps = [
            each["resourcePreEvent"]["metadata"]
            for each in self.events
            if "resourcePreEvent" in each
        ]
        return {step["urn"]: step["new"] for step in steps if step.get("new")}


@dataclass(frozen=True, kw_only=True)
class Engine:
    """One backend in a folder, and one project."""

    program: Path
    home: Path
    ports: StandIns
    project: Path = PROJECT

    def of(self, project: Path) -> "Engine":
        """Return the same engine for another project."""
        return replace(self, project=project)

    def start(self, stack: str) -> "Stack":
        """Begin a stack whose choices are those of the project's file of that name."""
        return self.start_from(stack, self.project / f"Pulumi.{stack}.yaml")

    def start_from(self, stack: str, choices: Path) -> "Stack":
        """Begin a stack with these choices, which stay as they are."""
        # A stack that begins writes into its choices, so it does in a folder aside.
        aside = self.home / self.project.name
        aside.mkdir(exist_ok=True)
        shutil.copy(self.project / "Pulumi.yaml", aside)
        copied = shutil.copy(choices, aside / f"Pulumi.{stack}.yaml")
        done = replace(self, project=aside).run("stack", "init", stack)
        assert done.code == 0, done.output
        return Stack(engine=self, name=stack, choices=Path(copied))

    def run(self, *arguments: str) -> Ended:
        """Run a command of pulumi, however it ends."""
        done = subprocess.run(
            [self.program, *arguments, "--non-interactive", "--cwd", self.project],
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Ended(code=done.returncode, output=done.stdout)

    def run_with_events(self, *arguments: str) -> Ended:
        """Run a command, and return it with the engine's log of events."""
        log = self.home / "events.json"
        log.unlink(missing_ok=True)
        done = self.run(*arguments, "--event-log", str(log))
        lines = log.read_text("utf-8").splitlines() if log.exists() else []
        return replace(done, events=[json.loads(line) for line in lines])

    def _environment(self) -> dict[str, str]:
        backend = self.home / "state"
        backend.mkdir(exist_ok=True)
        ports = self.ports
        return {
            "PATH": f"{_BIN}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "PULUMI_HOME": str(self.home / "home"),
            "PULUMI_BACKEND_URL": backend.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "of the tests",
            "PULUMI_DEBUG_LANGUAGES": f"python:{ports.language}",
            "PULUMI_DEBUG_PROVIDERS": ",".join(f"{each}:{ports.provider}" for each in PROVIDERS),
            # For --event-log.
            "PULUMI_DEBUG_COMMANDS": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "SLUICE_POLICY_PYTHON": sys.executable,
        }


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack of the engine, whose choices are a copy."""

    engine: Engine
    name: str
    choices: Path

    @property
    def where(self) -> list[str]:
        """The arguments that name its choices."""
        return ["--config-file", str(self.choices)]

    def configure(self, key: str, value: str, *options: str) -> None:
        """Choose something, as a person does."""
        words = ("config", "set", "--stack", self.name, "--path", key, value, *options)
        done = self.engine.run(*words, *self.where)
        assert done.code == 0, done.output

    def drop(self, key: str) -> None:
        """Choose nothing for a key, as a person does."""
        words = ("config", "rm", "--stack", self.name, "--path", key)
        done = self.engine.run(*words, *self.where)
        assert done.code == 0, done.output

    def preview(self) -> Ended:
        """Return what would happen, with the policy pack on."""
        return self._do("preview", "--policy-pack", str(PACK))

    def up(self) -> Ended:
        """Make it happen, with the policy pack on."""
        return self._do("up", "--yes", "--skip-preview", "--policy-pack", str(PACK))

    def refresh(self) -> Ended:
        """Look what is there."""
        return self._do("refresh", "--yes", "--skip-preview")

    def destroy(self) -> Ended:
        """Remove everything."""
        return self._do("destroy", "--yes", "--skip-preview")

    def unprotect(self) -> None:
        """Give all resources free, as a person does who means it."""
        done = self.engine.run("state", "unprotect", "--all", "--yes", "--stack", self.name)
        assert done.code == 0, done.output

    def export(self) -> str:
        """Return the stack's state, secrets encrypted."""
        done = self.engine.run("stack", "export", "--stack", self.name)
        assert done.code == 0, done.output
        return done.output

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs."""
        done = self.engine.run("stack", "output", "--json", "--stack", self.name)
        assert done.code == 0, done.output
        found: dict[str, Any] = json.loads(done.output)
        return found

    def _do(self, *words: str) -> Ended:
        return self.engine.run_with_events(
            *words, "--stack", self.name, "--color", "never", *self.where
        )
