"""Compiles an entry to a skeleton; the only module that imports Couler.

Couler keeps the current workflow in module globals, prints it when the process exits, and changes
PyYAML for the whole process. Here it runs under a lock, and its state is reset before and after.
"""

import atexit
import json
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final, NoReturn

import yaml

from sluice_workflows.checks import check
from sluice_workflows.entries import Builder, Couler, Entry, TemplateRef
from sluice_workflows.errors import CompileError
from sluice_workflows.hardening import harden
from sluice_workflows.normalise import normalise
from sluice_workflows.parameters import wire_names
from sluice_workflows.settings import CompileSettings
from sluice_workflows.skeletons import Skeleton

__all__ = ["compile_entry"]

_LOCK: Final = threading.Lock()
_ENTRYPOINT: Final = "main"
# Couler executes the Python file that this variable names.
_COULER_CONFIG_FILE: Final = "couler_cluster_config"


def compile_entry(entry: Entry, *, settings: CompileSettings) -> Skeleton:
    """Return the skeleton of an entry; its builder runs once. Thread-safe.

    Raises:
        CompileError: the builder failed, or its workflow is unsafe.
    """
    names = tuple(wire_names(entry.parameters))
    if isinstance(entry.template, TemplateRef):
        spec = _reference(entry.template, settings=settings)
    else:
        spec = _build(entry, entry.template, settings=settings)
    spec["arguments"] = {"parameters": [{"name": name} for name in names]}
    manifest = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {},
        "spec": _ordered(spec),
    }
    return Skeleton(
        workflow=entry.name, parameters=names, manifest=json.dumps(manifest, ensure_ascii=False)
    )


def _ordered(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the spec with its fields in the customary order."""
    spec = _sorted(spec, first=("entrypoint", "workflowTemplateRef", "arguments"), last="templates")
    if "templates" in spec:
        spec["templates"] = [
            _sorted(template, first=("name", "inputs"), last="outputs")
            for template in spec["templates"]
        ]
    return spec


def _sorted(fields: dict[str, Any], *, first: tuple[str, ...], last: str) -> dict[str, Any]:
    names = [*(name for name in first if name in fields), *fields]
    ordered = {name: fields[name] for name in names if name != last}
    return ordered | ({last: fields[last]} if last in fields else {})


def _reference(template: TemplateRef, *, settings: CompileSettings) -> dict[str, Any]:
    """Return a spec with only the fields that Argo's Strict and Secure modes allow."""
    scope = {"clusterScope": True} if template.cluster_scope else {}
    return {
        "workflowTemplateRef": {"name": template.name} | scope,
        "ttlStrategy": {"secondsAfterCompletion": settings.ttl_seconds},
    }


def _build(entry: Entry, builder: Builder, *, settings: CompileSettings) -> dict[str, Any]:
    try:
        with _fresh_couler() as couler:
            extensions = tuple(builder(couler, settings))
            spec = normalise(couler.workflow_yaml())
        for extend in extensions:
            extend(spec)
        check(spec, parameters=wire_names(entry.parameters))
    except Exception as e:
        raise CompileError(entry.name, f"{type(e).__name__}: {e}") from e
    harden(spec, settings=settings)
    return spec


@contextmanager
def _fresh_couler() -> Iterator[Couler]:
    with _LOCK:
        os.environ.pop(_COULER_CONFIG_FILE, None)
        couler = _import_couler()
        _reset(couler)
        try:
            yield couler
        finally:
            _reset(couler)


class _NoClient(ModuleType):
    """A placeholder for the Kubernetes client, which only Couler's submitter uses."""

    def __getattr__(self, name: str) -> NoReturn:
        # The import system looks for names like `__path__` and expects an AttributeError.
        raise AttributeError(f"a builder describes a workflow and must not submit it ({name})")


@contextmanager
def _without_kubernetes() -> Iterator[None]:
    """Let Couler import `client` and `config` from an empty package while the body runs."""
    package = ModuleType("kubernetes")
    package.__dict__.update(client=_NoClient("client"), config=_NoClient("config"))
    real = sys.modules.get(package.__name__)
    sys.modules[package.__name__] = package
    try:
        yield
    finally:
        del sys.modules[package.__name__]
        if real is not None:
            sys.modules[package.__name__] = real


def _import_couler() -> Couler:
    """Import Couler without its Kubernetes client, exit hook and YAML style.

    The client has 75 MB on disk and is not in the dispatcher's image: requirements/unused.txt.
    """
    represent_text = yaml.SafeDumper.yaml_representers[str]
    with _without_kubernetes():
        import couler.argo as couler  # noqa: PLC0415 only compiling needs it

    yaml.SafeDumper.add_representer(str, represent_text)
    atexit.unregister(couler._dump_yaml)  # noqa: SLF001
    return couler


def _reset(couler: Couler) -> None:
    """Reset all globals of `couler.core.states`; Couler's own `_cleanup` misses half of them.

    A new `Workflow` has fresh fields; both modules must refer to it.
    """
    os.environ.pop(_COULER_CONFIG_FILE, None)
    states = couler.states
    states._cleanup()  # noqa: SLF001 the protobuf copy, where protobuf is installed
    for name, value in _fresh_state().items():
        setattr(states, name, value)
    states.workflow = couler.workflow = type(states.workflow)(states.workflow_filename)
    states.workflow.name = _ENTRYPOINT


def _fresh_state() -> dict[str, Any]:
    return {
        "_sub_steps": None,
        "_update_steps_lock": True,
        "_run_concurrent_lock": False,
        "_concurrent_func_line": -1,
        "_concurrent_func_id": 0,
        "workflow_filename": _ENTRYPOINT,
        "_when_prefix": None,
        "_when_task": None,
        "_condition_id": None,
        "_while_steps": OrderedDict(),
        "_while_lock": False,
        "_upstream_dag_task": None,
        "_upstream_dag_depends_logic": None,
        "_dag_caller_line": None,
        "_exit_handler_enable": False,
        "_steps_outputs": OrderedDict(),
        "_secrets": {},
        "_outputs_tmp": None,
        "_enable_print_yaml": False,
        "_overwrite_nvidia_gpu_envs": False,
    }
