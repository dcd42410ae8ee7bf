"""The fields of a Workflow that the engine supports, and those that it ignores.

`docs/local-engine.md` shows the ignored ones; a test keeps the two alike.
"""

from typing import Final

from sluice_engine.controller.errors import TemplateError, UnsupportedError
from sluice_engine.controller.substitution import has_expression
from sluice_engine.documents import Json

__all__ = ["IGNORED_IN", "TEMPLATE_TYPES", "check_supported"]

_Schema = object
_ANY: Final[_Schema] = None

TEMPLATE_TYPES: Final = ("container", "dag", "script", "steps", "suspend")

_POD_SETTINGS: Final = frozenset(
    {
        "affinity",
        "automountServiceAccountToken",
        "executor",
        "hostAliases",
        "nodeSelector",
        "schedulerName",
        "securityContext",
        "serviceAccountName",
        "tolerations",
    }
)

IGNORED_IN: Final[dict[str, frozenset[str]]] = {
    "spec": _POD_SETTINGS
    | {
        "archiveLogs",
        "artifactGC",
        "artifactRepositoryRef",
        "dnsConfig",
        "dnsPolicy",
        "hostNetwork",
        "imagePullSecrets",
        "podDisruptionBudget",
        "podGC",
        "podMetadata",
        "podPriorityClassName",
        "priority",
        "volumeClaimGC",
    },
    "spec.templates[]": _POD_SETTINGS
    | {"annotations", "archiveLocation", "metadata", "priorityClassName"},
    "container and script": frozenset(
        {
            "image",
            "imagePullPolicy",
            "livenessProbe",
            "name",
            "ports",
            "readinessProbe",
            "resources",
            "securityContext",
            "startupProbe",
            "terminationMessagePath",
            "terminationMessagePolicy",
        }
    ),
    "artifact": frozenset({"artifactGC", "archive", "mode", "recurseMode"}),
}
"""Settings of pods, and of stores the engine does not have: accepted, without effect."""


def _known(*names: str, ignored: str = "", **nested: _Schema) -> dict[str, _Schema]:
    every = {*names, *IGNORED_IN.get(ignored, ())}
    return dict.fromkeys(every, _ANY) | nested


_PARAMETERS: Final = [
    _known(
        "default",
        "description",
        "enum",
        "globalName",
        "name",
        "value",
        valueFrom=_known("default", "parameter", "path", "supplied"),
    )
]
_ARTIFACTS: Final = [
    _known(
        "from",
        "globalName",
        "name",
        "optional",
        "path",
        ignored="artifact",
        raw=_known("data"),
        s3=_known("key"),
    )
]
_ARGUMENTS: Final = _known(parameters=_PARAMETERS, artifacts=_ARTIFACTS)
_RETRY: Final = _known(
    "affinity",
    "limit",
    "retryPolicy",
    backoff=_known("cap", "duration", "factor", "maxDuration"),
)
_STEP: Final = _known(
    "name",
    "template",
    "when",
    "withItems",
    "withParam",
    arguments=_ARGUMENTS,
    continueOn=_known("error", "failed"),
    templateRef=_known("clusterScope", "name", "template"),
    withSequence=_known("count", "end", "format", "start"),
)
_CONTAINER: Final = _known(
    "args",
    "command",
    "workingDir",
    ignored="container and script",
    env=[_known("name", "value")],
    volumeMounts=[_known("mountPath", "name", "readOnly")],
)
_VOLUMES: Final = [_known("emptyDir", "name")]
_TEMPLATE: Final = _known(
    "activeDeadlineSeconds",
    "failFast",
    "name",
    "parallelism",
    ignored="spec.templates[]",
    container=_CONTAINER,
    dag=_known("failFast", "target", tasks=[_STEP | _known("dependencies", "depends")]),
    inputs=_ARGUMENTS,
    outputs=_ARGUMENTS,
    retryStrategy=_RETRY,
    script=_CONTAINER | _known("source"),
    steps=[[_STEP]],
    suspend=_known("duration"),
    volumes=_VOLUMES,
)
_SPEC: Final = _known(
    "activeDeadlineSeconds",
    "entrypoint",
    "onExit",
    "parallelism",
    "shutdown",
    "suspend",
    ignored="spec",
    arguments=_ARGUMENTS,
    retryStrategy=_RETRY,
    templateDefaults=_TEMPLATE,
    templates=[_TEMPLATE],
    ttlStrategy=_known("secondsAfterCompletion", "secondsAfterFailure", "secondsAfterSuccess"),
    volumes=_VOLUMES,
    workflowTemplateRef=_known("clusterScope", "name"),
)


def check_supported(spec: Json) -> None:
    """Refuse a spec with a field that the engine neither supports nor ignores.

    Raises:
        UnsupportedError: the path of the first such field.
        TemplateError: a part has not the shape that it must have.
    """
    _check(spec, _SPEC, "spec")
    for part in ("templates", "templateDefaults", "onExit"):
        if has_expression(spec.get(part)):
            raise UnsupportedError(f"a {{{{=expression}}}} in spec.{part}")


def _check(value: Json, schema: _Schema, path: str) -> None:
    if schema is _ANY or value is None:
        return
    if isinstance(schema, list):
        if not isinstance(value, list):
            message = f"{path} must be a list"
            raise TemplateError(message)
        for index, item in enumerate(value):
            _check(item, schema[0], f"{path}[{index}]")
    elif isinstance(schema, dict):
        if not isinstance(value, dict):
            message = f"{path} must be an object"
            raise TemplateError(message)
        for field, item in value.items():
            if field not in schema and item not in (None, []):
                raise UnsupportedError(f"{path}.{field}")
            _check(item, schema.get(field), f"{path}.{field}")
