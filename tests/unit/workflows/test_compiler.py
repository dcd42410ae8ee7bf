import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from types import FunctionType, ModuleType
from typing import Any

import pytest

from sluice_workflows.builtin import BUILT_IN
from sluice_workflows.compiler import _fresh_couler, _fresh_state, compile_entry
from sluice_workflows.entries import Couler, TemplateRef
from sluice_workflows.errors import CompileError
from sluice_workflows.extensions import Extension, fan_out, keep_unarchived, suspend
from sluice_workflows.outputs import artifact
from sluice_workflows.settings import CompileSettings
from tests.unit.workflows.support import SETTINGS, Everything, entry_of, one_step

HELLO = BUILT_IN[0]


def state_of(couler: Couler) -> dict[str, Any]:
    """Return all state that Couler keeps between calls."""
    state = {
        name: value
        for name, value in vars(couler.states).items()
        if not name.startswith("__") and not isinstance(value, ModuleType | FunctionType | type)
    }
    return state | {"workflow": dict(vars(state["workflow"]))}


def test_every_global_of_couler_is_reset() -> None:
    with _fresh_couler() as couler:
        assert set(state_of(couler)) == set(_fresh_state()) | {"workflow"}


def dirty(couler: Couler, settings: CompileSettings) -> Iterable[Extension]:
    """Change all state that a builder can, then fail in the middle."""
    os.environ["couler_cluster_config"] = "/nowhere/cluster.py"  # noqa: SIM112 Couler's name
    couler.create_secret({"key": "secret"})
    couler.config_workflow(name="other", user_id="me", timeout=1, time_to_clean=1)
    couler.states._overwrite_nvidia_gpu_envs = True
    couler.states._enable_print_yaml = True

    def finish() -> list[object]:
        one_step(couler, settings)
        return ["finished"]

    def fail() -> None:
        one_step(couler, settings)
        raise RuntimeError("in the middle")

    couler.set_exit_handler(couler.WFStatus.Failed, finish)
    couler.set_dependencies(lambda: one_step(couler, settings), dependencies="x")
    couler.concurrent([lambda: couler.set_dependencies(fail)], subtasks=True)
    return []


def test_a_failing_builder_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("couler_cluster_config", raising=False)
    with _fresh_couler() as couler:
        fresh = state_of(couler)
    before = compile_entry(HELLO, settings=SETTINGS)

    with pytest.raises(CompileError, match="`tried` does not compile: RuntimeError: in the middle"):
        compile_entry(entry_of(dirty), settings=SETTINGS)

    assert state_of(couler) == fresh
    assert "couler_cluster_config" not in os.environ
    assert compile_entry(HELLO, settings=SETTINGS) == before


def test_threads_do_not_mix() -> None:
    entries = [*BUILT_IN] * 4
    start = threading.Barrier(len(entries))

    def compiled(index: int) -> str:
        start.wait()
        return compile_entry(entries[index], settings=SETTINGS).manifest

    expected = [compile_entry(entry, settings=SETTINGS).manifest for entry in entries]
    with ThreadPoolExecutor(len(entries)) as pool:
        assert list(pool.map(compiled, range(len(entries)))) == expected


def python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, encoding="utf-8"
    ).stdout


def test_exit_prints_nothing_and_yaml_is_unchanged() -> None:
    assert (
        python(
            """
import yaml
before = yaml.safe_dump({"text": "a\\nb"})
from sluice_workflows.builtin import BUILT_IN
from sluice_workflows.compiler import compile_entry
from sluice_workflows.settings import CompileSettings
compile_entry(BUILT_IN[0], settings=CompileSettings())
print(yaml.safe_dump({"text": "a\\nb"}) == before)
"""
        )
        == "True\n"
    )


def test_reading_the_catalogue_does_not_import_couler() -> None:
    assert (
        python(
            """
import sys
from sluice_workflows.catalogue import load_catalogue
import sluice_workflows.compiler
catalogue = load_catalogue(file=None, entry_points=[])
[entry.parameter_schema() for entry in catalogue]
print([name for name in ("couler", "kubernetes", "pyaml") if name in sys.modules])
"""
        )
        == "[]\n"
    )


def test_every_entry_compiles_without_what_couler_needs_to_submit() -> None:
    """The dispatcher's image has none of these; see requirements/unused.txt."""
    assert (
        python(
            """
import sys

class Absent:
    names = {
        "aiohttp_retry", "charset_normalizer", "deprecated", "docker", "durationpy", "kubernetes",
        "oauthlib", "requests", "requests_oauthlib", "websocket", "wrapt",
    }

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in cls.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent)
from sluice_workflows.builtin import BUILT_IN
from sluice_workflows.compiler import compile_entry
from sluice_workflows.settings import CompileSettings
print([compile_entry(entry, settings=CompileSettings()).workflow for entry in BUILT_IN])
print(Absent.names & set(sys.modules))
"""
        )
        == f"{[entry.name for entry in BUILT_IN]}\nset()\n"
    )


def test_a_builder_cannot_submit() -> None:
    def submit(couler: Couler, settings: CompileSettings) -> Iterable[Extension]:
        one_step(couler, settings)
        couler.run(submitter=couler.ArgoSubmitter)
        return []

    with pytest.raises(CompileError, match="must not submit it"):
        compile_entry(entry_of(submit), settings=SETTINGS)


def test_settings_apply_to_all_builders() -> None:
    settings = CompileSettings(
        python_image="registry/python:3", service_account="robot", ttl_seconds=5, run_as_user=7
    )

    spec = json.loads(compile_entry(entry_of(one_step), settings=settings).manifest)["spec"]

    assert spec == {
        "entrypoint": "main",
        "arguments": {"parameters": []},
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "serviceAccountName": "robot",
        "automountServiceAccountToken": False,
        "executor": {"serviceAccountName": "robot"},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 7,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "ttlStrategy": {"secondsAfterCompletion": 5},
        "podGC": {"strategy": "OnPodSuccess", "deleteDelayDuration": "30s"},
        "templates": [
            {"name": "main", "steps": [[{"name": "only", "template": "only"}]]},
            {
                "name": "only",
                "container": {
                    "image": "registry/python:3",
                    "command": ["true"],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                },
            },
        ],
    }


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        (TemplateRef(name="theirs"), {"name": "theirs"}),
        (TemplateRef(name="x.y", cluster_scope=True), {"name": "x.y", "clusterScope": True}),
    ],
)
def test_a_reference_has_only_fields_that_strict_argo_allows(
    reference: TemplateRef, expected: dict[str, object]
) -> None:
    entry = entry_of(reference, parameters=Everything)

    manifest = json.loads(compile_entry(entry, settings=SETTINGS).manifest)

    assert manifest == {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {},
        "spec": {
            "workflowTemplateRef": expected,
            "arguments": {"parameters": [{"name": name} for name in Everything.model_fields]},
            "ttlStrategy": {"secondsAfterCompletion": 3600},
        },
    }


def test_an_extension_of_a_missing_template_fails() -> None:
    def builder(couler: Couler, settings: CompileSettings) -> Iterable[Extension]:
        couler.set_dependencies(lambda: one_step(couler, settings))
        return [fan_out(task="absent", over="[]", parameters={}, artifacts={})]

    with pytest.raises(CompileError, match="named `absent`"):
        compile_entry(entry_of(builder), settings=SETTINGS)


def test_a_task_that_suspends() -> None:
    def builder(couler: Couler, _: CompileSettings) -> Iterable[Extension]:
        couler.set_dependencies(
            lambda: couler.run_container(image="i", command="c", step_name="only")
        )
        return [suspend(task="wait", depends="only")]

    spec = json.loads(compile_entry(entry_of(builder), settings=SETTINGS).manifest)["spec"]

    assert spec["templates"][0]["dag"]["tasks"][-1] == {
        "name": "wait",
        "template": "wait",
        "depends": "only",
    }
    assert spec["templates"][-1] == {"name": "wait", "suspend": {}}


def test_only_artifacts_with_a_key_are_kept_unarchived() -> None:
    def builder(couler: Couler, _: CompileSettings) -> Iterable[Extension]:
        for name, key in (("keyed", "some/key"), ("packed", None)):
            couler.run_container(
                image="i",
                command="c",
                step_name=name,
                output=artifact(couler, name, path="/sluice/out/x", key=key),
            )
        return [keep_unarchived()]

    spec = json.loads(compile_entry(entry_of(builder), settings=SETTINGS).manifest)["spec"]

    assert [template["outputs"]["artifacts"] for template in spec["templates"][1:]] == [
        [
            {
                "name": "keyed",
                "path": "/sluice/out/x",
                "s3": {"key": "some/key"},
                "archive": {"none": {}},
            }
        ],
        [{"name": "packed", "path": "/sluice/out/x"}],
    ]
