"""What an operator decides about every compiled Workflow."""

from dataclasses import dataclass

__all__ = ["CompileSettings"]


@dataclass(frozen=True, kw_only=True)
class CompileSettings:
    """Settings that apply alike to whatever a builder makes.

    `python_image` has to offer `python3`, 3.9 or newer. `ttl_seconds` is how long a finished
    Workflow stays in etcd once Argo has seen its end. `service_account` is what Argo's executor
    runs as; its token reaches the executor's containers alone, never a step.
    """

    python_image: str = "python:3.13-slim"
    service_account: str = "sluice-executor"
    ttl_seconds: int = 3600
    run_as_user: int = 65532
