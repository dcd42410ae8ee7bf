"""Finding templates by name, in the Workflow and in stored WorkflowTemplates."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sluice_engine.controller.errors import TemplateError
from sluice_engine.controller.supported import TEMPLATE_TYPES, check_supported
from sluice_engine.documents import Json, Object

__all__ = ["StoredTemplates", "TemplateContext", "execution_spec"]

StoredTemplates = Callable[[str, bool], Object | None]
"""Returns the spec of a WorkflowTemplate by name, or of a cluster-wide one; None if absent."""


def execution_spec(workflow: Object, stored: StoredTemplates) -> Object:
    """Return the spec to execute: the Workflow's own, on top of the template it refers to.

    The joined spec is kept in the status, so that a later change of the template changes nothing.

    Raises:
        TemplateError: the template does not exist.
    """
    spec: Object = workflow["spec"]
    reference = spec.get("workflowTemplateRef")
    if not reference:
        return spec
    status = workflow.setdefault("status", {})
    if "storedWorkflowTemplateSpec" not in status:
        template = stored(reference["name"], bool(reference.get("clusterScope")))
        if template is None:
            message = f'workflow template "{reference["name"]}" not found'
            raise TemplateError(message)
        own = {k: v for k, v in spec.items() if k != "workflowTemplateRef"}
        joined: Object = {**template, **own}
        arguments = {
            kind: _joined_by_name(template, spec, kind) for kind in ("parameters", "artifacts")
        }
        joined["arguments"] = {kind: items for kind, items in arguments.items() if items}
        status["storedWorkflowTemplateSpec"] = joined
    kept: Object = status["storedWorkflowTemplateSpec"]
    # A client's change of a running Workflow takes effect at once.
    return {**kept, **{k: spec.get(k) for k in ("suspend", "shutdown")}}


def _joined_by_name(template: Object, spec: Object, kind: str) -> list[Object]:
    joined: dict[str, Object] = {}
    for source in (template, spec):
        for item in (source.get("arguments") or {}).get(kind) or ():
            joined[item["name"]] = {**joined.get(item["name"], {}), **item}
    return list(joined.values())


def _merged(defaults: Json, own: Json) -> Json:
    if not isinstance(defaults, dict) or not isinstance(own, dict):
        return defaults if own is None else own
    return {k: _merged(defaults.get(k), own.get(k)) for k in {**defaults, **own}}


@dataclass(slots=True)
class TemplateContext:
    """Where the names of templates are looked up.

    Args:
        templates: the templates of the Workflow, or of the WorkflowTemplate, by name.
        defaults: `templateDefaults`.
        stored: looks up WorkflowTemplates.
        kept: `status.storedTemplates`: what was looked up once stays the same for a Workflow.
        prefix: `namespaced/NAME/` or `cluster/NAME/` inside of a WorkflowTemplate.
    """

    templates: dict[str, Object]
    defaults: Object
    stored: StoredTemplates
    kept: dict[str, Object] = field(default_factory=dict)
    prefix: str = ""

    def resolve(self, holder: Object) -> tuple[Object, "TemplateContext"]:
        """Return the template that a step names, and the context for the names inside of it.

        Raises:
            TemplateError: there is none, or it is not one that can be run.
        """
        context, name = self, holder.get("template") or ""
        if reference := holder.get("templateRef"):
            context = self._referred(reference)
            name = reference["template"]
        template = context.templates.get(name)
        if template is None and context.prefix:
            template = self.kept.get(context.prefix + name)
        if template is None:
            message = f"template name '{name}' undefined"
            raise TemplateError(message)
        if context.prefix:
            self.kept.setdefault(context.prefix + name, template)
        return self._with_defaults(template), context

    def _referred(self, reference: Object) -> "TemplateContext":
        cluster = bool(reference.get("clusterScope"))
        name = reference["name"]
        spec = self.stored(name, cluster)
        prefix = f"{'cluster' if cluster else 'namespaced'}/{name}/"
        kept = {
            key.removeprefix(prefix): template
            for key, template in self.kept.items()
            if key.startswith(prefix)
        }
        if spec is None and not kept:
            message = f'workflow template "{name}" not found'
            raise TemplateError(message)
        check_supported({"templates": (spec or {}).get("templates")})
        found = {t["name"]: t for t in (spec or {}).get("templates") or ()}
        return TemplateContext({**found, **kept}, self.defaults, self.stored, self.kept, prefix)

    def _with_defaults(self, template: Object) -> Object:
        types = [kind for kind in TEMPLATE_TYPES if kind in template]
        if len(types) != 1:
            message = f"template '{template.get('name')}' needs exactly one of {TEMPLATE_TYPES}"
            raise TemplateError(message)
        if not self.defaults:
            return template
        others = set(TEMPLATE_TYPES) - set(types)
        merged: Object = _merged(self.defaults, template)
        return {k: v for k, v in merged.items() if k not in others}
