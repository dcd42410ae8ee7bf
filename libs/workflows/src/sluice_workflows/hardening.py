"""Security settings of all compiled Workflows, independent of their builders.

Pods run under the restricted Pod Security Standard with a read-only root file system. Steps never
get a Kubernetes token. Only Argo's executor gets one, from the Secret
`<service account>.service-account-token` (Argo docs, "Service Account Secrets").
"""

from typing import Any

from sluice_workflows.settings import CompileSettings

__all__ = ["harden"]

_TMP = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108 an emptyDir of the step's own pod


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
    spec["podGC"] = {"strategy": "OnPodCompletion"}
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
