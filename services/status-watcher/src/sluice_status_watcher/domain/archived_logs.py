"""Finds the logs that Argo's executor has archived; pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sluice_status_watcher.domain.lenient_json import as_map, as_text

__all__ = ["archived_logs", "artifact_bucket"]

# S3 has allowed 255 characters. The name is copied into every link, so it must be short.
_BUCKET: Final = re.compile(r"[A-Za-z0-9._-]{3,255}")
_SUFFIX: Final = "-logs"


def artifact_bucket(status: Mapping[str, Any]) -> str | None:
    """Return the S3 bucket of the artifact repository of a Workflow; None if it has none in S3."""
    repository = as_map(as_map(status.get("artifactRepositoryRef")).get("artifactRepository"))
    bucket = as_text(as_map(repository.get("s3")).get("bucket"))
    return bucket if bucket and _BUCKET.fullmatch(bucket) else None


def archived_logs(outputs: Mapping[str, Any], *, bucket: str | None) -> Iterator[tuple[str, str]]:
    """Yield the name of each container of a step, and the URI of its log.

    Argo adds a log to the step's artifacts as `main-logs`, under the key `…/main.log` and without
    the bucket (v4.0 workflow/executor/executor.go, `saveContainerLogs`). A template may declare an
    artifact of such a name; its key has another end.
    """
    artifacts = outputs.get("artifacts")
    if bucket is None or not isinstance(artifacts, list):
        return
    for artifact in map(as_map, artifacts):
        name = as_text(artifact.get("name")) or ""
        key = as_text(as_map(artifact.get("s3")).get("key")) or ""
        container = name.removesuffix(_SUFFIX)
        if name.endswith(_SUFFIX) and key.endswith(f"/{container}.log"):
            yield container, f"s3://{bucket}/{key}"
