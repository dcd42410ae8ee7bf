"""Outputs and artifacts with names of their own; Couler would name them after a line or at random.

For builders: `couler` is the module that they are handed.
"""

from sluice_workflows.entries import Couler

__all__ = ["artifact", "output_parameter"]


def output_parameter(couler: Couler, name: str, *, path: str) -> Couler:
    """Make the file at `path` the output parameter `name`.

    Argo takes one newline off the end of the file, if there is one; a step that has to keep its
    text exact therefore writes one more.
    """
    output = couler.create_parameter_artifact(path=path)
    output.id = name
    return output


def artifact(couler: Couler, name: str, *, path: str, key: str | None = None) -> Couler:
    """Make the file or folder at `path` an artifact in the cluster's artifact repository.

    With `key`, it stands at that place of the repository's bucket, where other steps can name it.
    """
    if key is None:
        output = couler.create_local_artifact(path=path)
    else:
        output = couler.create_s3_artifact(path=path, key=key)
    output.id = name
    return output
