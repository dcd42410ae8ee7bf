"""What a stack declares, seen by Pulumi's own mocks: fast, and without an engine."""

import contextlib
import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pytest
import yaml
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockMonitor

from sluice_infra.settings import read_settings
from sluice_infra.stack import Place, build
from tests.pulumi.engine.echo_provider import ACCOUNT, CALLER, made
from tests.pulumi.engine.engine import PROJECT

STACKS = ("dev", "staging", "prod", "learnerlab")


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One that was declared."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    protected: bool
    parent: str
    after: frozenset[str]
    ignored: tuple[str, ...]


@dataclass(frozen=True)
class Declared:
    """All that a stack declares, and what it puts out."""

    resources: list[Resource] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def of(self, kind: str) -> dict[str, Mapping[str, Any]]:
        """Return the inputs of all of a kind, `eks/cluster:Cluster` or the end of it, by name."""
        return {each.name: each.inputs for each in self.resources if each.type.endswith(f":{kind}")}

    def one(self, kind: str) -> Mapping[str, Any]:
        """Return the inputs of the one of a kind."""
        [inputs] = self.of(kind).values()
        return inputs

    def named(self, kind: str, name: str) -> Resource:
        """Return the one of that kind and name."""
        [found] = [
            each for each in self.resources if each.type.endswith(f":{kind}") and each.name == name
        ]
        return found


class _Monitor(MockMonitor):
    """Remembers what the mocks do not receive."""

    def __init__(self, seen: list[Resource]) -> None:
        super().__init__(_Mocks())
        self._seen = seen

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 # gRPC's name
        answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        self._seen.append(
            Resource(
                type=request.type,
                name=request.name,
                inputs=rpc.deserialize_properties_unwrap_secrets(request.object)[0],
                protected=request.protect,
                parent=request.parent.rpartition("::")[2],
                after=frozenset(urn.rpartition("::")[2] for urn in request.dependencies),
                ignored=tuple(request.ignoreChanges),
            )
        )
        return answer


class _Mocks(pulumi.runtime.Mocks):
    def call(self, args: pulumi.runtime.MockCallArgs) -> Any:
        raise NotImplementedError(args.token)

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        return args.name, made(args.typ, args.name, args.inputs)


Declare = Callable[..., Declared]


def choices_of(stack: str) -> dict[str, Any]:
    """Return what a stack's file says, by key."""
    document = yaml.safe_load((PROJECT / f"Pulumi.{stack}.yaml").read_text("utf-8"))
    choices: dict[str, Any] = document["config"]
    return choices


REPOSITORY = "https://git.sluice.test/ours/sluice.git"
OFFICE = "198.18.7.0/24"
ADMIN = f"arn:aws:iam::{ACCOUNT}:role/teams/admin"

_OURS: Mapping[str, Mapping[str, Any]] = {
    "dev": {"cluster.publicCidrs": [OFFICE]},
    "staging": {"cluster.publicCidrs": [OFFICE], "cluster.admins": [ADMIN]},
    "prod": {
        "cluster.admins": [ADMIN],
        "cluster.publicCidrs": None,
        "cluster.publicUntil": None,
        "dns": {"domain": "sluice.test"},
    },
    "learnerlab": {"iam.existingRoleArn": f"arn:aws:iam::{ACCOUNT}:role/LabRole"},
}
"""In the place of placeholders, by stack."""
_OF_A_FORK: Mapping[str, None] = dict.fromkeys(
    ("budget", "database", "github", "repositoryPassword")
)
"""What docs/deploy.md lets a fork add. Its CI compares with the same golden files as ours."""


def ours(stack: str) -> dict[str, Any]:
    """Return what a stack's file says, with values of our own in the place of a fork's."""
    return with_ours(choices_of(stack), stack=stack)


def with_ours(choices: Mapping[str, Any], *, stack: str) -> dict[str, Any]:
    """Return a stack's choices with values of our own in the place of a fork's."""
    lab = stack == "learnerlab"
    values = {
        "argocd.repository": REPOSITORY,
        "owner": "student" if lab else "platform",
        **_OF_A_FORK,
        **_OURS[stack],
    }
    region = {"aws:region": "us-east-1" if lab else "eu-central-1"}
    return changed(choices, values) | region


def changed(choices: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return choices with others in their place, by keys like ``network.nat``; None takes away."""
    result = copy.deepcopy(dict(choices))
    for path, value in changes.items():
        *folders, last = path.split(".")
        folders = [f"sluice:{folders[0]}", *folders[1:]] if folders else []
        place = result
        for folder in folders:
            place = place.setdefault(folder, {})
        key = last if folders else f"sluice:{last}"
        if value is None:
            place.pop(key, None)
        else:
            place[key] = value
    return result


@pytest.fixture(scope="session")
def declare() -> Declare:
    """Declare a stack, with other choices by keys like ``network.nat``; each only once."""
    known: dict[str, Declared] = {}

    def declare(stack: str, changes: Mapping[str, Any] | None = None) -> Declared:
        what = json.dumps([stack, changes])
        if what not in known:
            # Paths in the settings are those of the program.
            with contextlib.chdir(PROJECT):
                known[what] = _declared(stack, changes or {})
        return known[what]

    return declare


def _declared(stack: str, changes: Mapping[str, Any]) -> Declared:
    declared = Declared()
    monitor = _Monitor(declared.resources)
    pulumi.runtime.set_mocks(monitor.mocks, project="sluice", stack=stack, monitor=monitor)
    choices = ours(stack)
    settings = read_settings(changed(choices, changes))
    place = Place(
        region=choices["aws:region"],
        account=pulumi.Output.from_input(ACCOUNT),
        caller=pulumi.Output.from_input(CALLER),
    )

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def run() -> pulumi.Output[Any]:
        outputs = build(settings, stack=stack, place=place, password=None)
        return pulumi.Output.all(**outputs).apply(declared.outputs.update)

    run()
    return declared
