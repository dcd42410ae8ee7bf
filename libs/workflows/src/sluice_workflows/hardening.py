"""Security and garbage collection of all compiled Workflows, independent of their builders.

Pods run under the restricted Pod Security Standard with a read-only root file system. Steps never
get a Kubernetes token. Only Argo's executor gets one, from the Secret
`<service account>.service-account-token` (Argo docs, "Service Account Secrets").
"""

from typing import Any

from sluice_workflows.settings import CompileSettings

__all__ = ["harden"]

_TMP = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108 an emptyDir of the step's own pod
# Pods of failed steps stay until their Workflow is deleted, so that they can be looked at. The
# delay gives a node's log collector the time to read the others' logs.
_POD_GC = {"strategy": "OnPodSuccess", "deleteDelayDuration": "30s"}


def harden(spec: dict[str, Any], *, settings: CompileSettings) -> None:
    """Set the fields that Sluice controls, and replace a builder's values."""
    spec["serviceAccountName"] = settings.service_account
    spec["automountServiceAccountToken"] = False
    spec["executor"] = {"serviceAccountName": settings.service_account}
    spec["securityContext"] = {
        "runAsNonRoot": True,
        "runAsUser": settings.run_as_user,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    spec["ttlStrategy"] = {"secondsAfterCompletion": settings.ttl_seconds}
    spec["podGC"] = dict(_POD_GC)
    spec["volumes"] = [*spec.get("volumes", []), {"name": _TMP["name"], "emptyDir": {}}]
    for template in spec["templates"]:
        container = template.get("container") or template.get("script")
        if container:
            container["securityContext"] = {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            container["volumeMounts"] = [*container.get("volumeMounts", []), dict(_TMP)]
