"""What the API refuses, in the words and codes of a Kubernetes API server."""

from collections.abc import Mapping
from typing import Any

__all__ = [
    "ApiError",
    "already_exists",
    "bad_request",
    "conflict",
    "expired",
    "forbidden",
    "invalid",
    "method_not_allowed",
    "not_found",
    "too_large",
    "too_new",
    "unsupported_media_type",
]


class ApiError(Exception):
    """A refusal that is answered as a `Status` object.

    Args:
        code: HTTP status code.
        reason: machine-readable reason of the Kubernetes API, empty if the real server gives none.
        message: what was wrong, for people.
        details: `details` of the Status object.
    """

    def __init__(
        self, code: int, reason: str, message: str, *, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = dict(details or {})

    def status(self) -> dict[str, Any]:
        """Return the `v1.Status` document of this refusal."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details:
            status["details"] = self.details
        status["code"] = self.code
        return status


def _about(qualified: str, name: str) -> dict[str, str]:
    """Return details of a Status; the resource comes as `workflows.argoproj.io`."""
    kind, _, group = qualified.partition(".")
    return {"name": name, "group": group, "kind": kind}


def not_found(plural: str, name: str) -> ApiError:
    """No object of that name."""
    return ApiError(404, "NotFound", f'{plural} "{name}" not found', details=_about(plural, name))


def already_exists(plural: str, name: str) -> ApiError:
    """The name is taken."""
    message = f'{plural} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details=_about(plural, name))


def conflict(plural: str, name: str, why: str) -> ApiError:
    """The object changed since the client read it, or a precondition does not hold."""
    message = f'Operation cannot be fulfilled on {plural} "{name}": {why}'
    return ApiError(409, "Conflict", message, details=_about(plural, name))


def invalid(kind: str, name: str, field: str, why: str) -> ApiError:
    """A field has a value that cannot be stored."""
    details = {**_about(kind, name), "causes": [{"message": why, "field": field}]}
    return ApiError(422, "Invalid", f'{kind} "{name}" is invalid: {field}: {why}', details=details)


def forbidden(plural: str, name: str, why: str) -> ApiError:
    """The change is not allowed in the state the object is in."""
    message = f'{plural} "{name}" is forbidden: {why}'
    return ApiError(403, "Forbidden", message, details=_about(plural, name))


def bad_request(why: str) -> ApiError:
    """The request is malformed."""
    return ApiError(400, "BadRequest", why)


def expired(requested: int, oldest: int) -> ApiError:
    """The history was compacted: list again."""
    return ApiError(410, "Expired", f"too old resource version: {requested} ({oldest})")


def too_new(requested: int, current: int) -> ApiError:
    """The resource version is in the future, as after the data folder was removed."""
    details = {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }
    message = f"Too large resource version: {requested}, current: {current}"
    return ApiError(504, "Timeout", message, details=details)


def too_large() -> ApiError:
    """The object does not fit into etcd; a real API server answers 500 with this text."""
    return ApiError(500, "", "etcdserver: request is too large")


def method_not_allowed(what: str) -> ApiError:
    """The verb is not offered for this resource."""
    return ApiError(405, "MethodNotAllowed", what)


def unsupported_media_type(given: str, accepted: str) -> ApiError:
    """The media type of the body is not supported."""
    message = (
        f"the body of the request was in an unknown format ({given or 'none given'}) - "
        f"accepted media types include: {accepted}"
    )
    return ApiError(415, "UnsupportedMediaType", message)
