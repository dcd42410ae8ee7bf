"""Outputs and artifacts with explicit names; Couler uses line numbers or random names.

For builders: `couler` is the module that they get as an argument.
"""

from sluice_workflows.entries import Couler

__all__ = ["artifact", "output_parameter"]


def output_parameter(couler: Couler, name: str, *, path: str) -> Couler:
    """Return the output parameter `name`, read from the file at `path`.

    Argo removes one newline from the end of the file. A step that must keep its text exact
    therefore appends one.
    """
    output = couler.create_parameter_artifact(path=path)
    output.id = name
    return output


def artifact(couler: Couler, name: str, *, path: str, key: str | None = None) -> Couler:
    """Return the file or folder at `path` as an artifact in the cluster's artifact repository.

    With `key`, the artifact has that key in the repository's bucket, so that other steps can refer
    to it.
    """
    if key is None:
        output = couler.create_local_artifact(path=path)
    else:
        output = couler.create_s3_artifact(path=path, key=key)
    output.id = name
    return output
