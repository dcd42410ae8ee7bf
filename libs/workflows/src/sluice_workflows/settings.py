"""The operator's settings for all compiled Workflows."""

from dataclasses import dataclass

__all__ = ["CompileSettings"]


@dataclass(frozen=True, kw_only=True)
class CompileSettings:
    """Settings for all compiled Workflows.

    `python_image` must have `python3`, 3.9 or newer. `ttl_seconds` is how long a finished Workflow
    stays in etcd after Argo has seen its end. Argo's executor runs as `service_account`; only the
    executor's containers get its token, never a step. `run_as_user` is the steps' user id.
    """

    python_image: str = "public.ecr.aws/docker/library/python:3.13-slim"
    service_account: str = "sluice-executor"
    ttl_seconds: int = 3600
    run_as_user: int = 65532
