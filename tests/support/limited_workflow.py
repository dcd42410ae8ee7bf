"""A builder whose `hello` allows a number of live runs of each name."""

from dataclasses import replace

from sluice_dispatcher.domain.workflow_builder import WorkflowBuilder
from sluice_runtime.kubernetes.namespaces import Namespaces
from sluice_workflows.builtin.hello import HELLO
from sluice_workflows.catalogue import Catalogue
from sluice_workflows.compiler import compile_entry
from sluice_workflows.entries import Concurrency, WhenFull
from sluice_workflows.settings import CompileSettings

__all__ = ["limited_builder"]


def limited_builder(
    *,
    limit: int = 1,
    when_full: WhenFull = "queue",
    namespaces: Namespaces | None = None,
) -> WorkflowBuilder:
    """Return a builder of `hello` with the key `/parameters/name`."""
    concurrency = Concurrency(key="/parameters/name", limit=limit, when_full=when_full)
    entry = replace(HELLO, concurrency=concurrency)
    return WorkflowBuilder(
        Catalogue([entry]),
        {entry.name: compile_entry(entry, settings=CompileSettings())},
        namespaces=namespaces or Namespaces("argo"),
    )
