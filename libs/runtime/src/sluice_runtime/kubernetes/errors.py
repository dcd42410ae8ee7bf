"""Errors for the API server's responses.

The text of these errors reaches logs, probes and tracebacks. The server's message can quote the
request's object, and with it a parameter's value. So it is an attribute, and not part of the text.
"""

import json
import re
from typing import Any

__all__ = [
    "AlreadyExistsError",
    "AnswerTooLargeError",
    "ApiError",
    "ApiUnavailableError",
    "ConflictError",
    "GoneError",
    "NotFoundError",
    "RefusedError",
    "error_for",
]


class ApiUnavailableError(Exception):
    """There is no definite answer: the request may have taken effect. A retry may help.

    `status` is the HTTP status, None without a response. `retry_after` is in seconds.
    `server_message` is the server's own message, if any: never log it.
    """

    def __init__(
        self,
        text: str,
        *,
        retry_after: float = 0.0,
        status: int | None = None,
        server_message: str = "",
    ) -> None:
        super().__init__(text)
        self.retry_after = retry_after
        self.status = status
        self.server_message = server_message


class AnswerTooLargeError(ApiUnavailableError):
    """The response would take too much memory. A request for fewer objects may not."""


class ApiError(Exception):
    """The API server refused the request; `reason` is that of Kubernetes' Status.

    `server_message` is the server's own message: never log it.
    """

    def __init__(self, text: str, *, status: int, reason: str, server_message: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason
        self.server_message = server_message


class NotFoundError(ApiError):
    """404: the object or the resource does not exist."""


class ConflictError(ApiError):
    """409, or 422 for a failed JSON Patch `test`: the object has changed."""


class AlreadyExistsError(ApiError):
    """409 AlreadyExists: the name is taken."""


class GoneError(ApiError):
    """410: the resourceVersion or continue token is too old; list again."""


class RefusedError(ApiError):
    """400, 413 or 422: a retry would get the same answer."""


# Proxies may ask for more, but work must resume by itself soon after a recovery.
_LONGEST_RETRY_AFTER_S = 300.0

_BY_STATUS: dict[int, type[ApiError]] = {
    400: RefusedError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    413: RefusedError,
    422: RefusedError,
}

# metav1.StatusReason. A webhook may set any other text.
_REASONS = frozenset(
    {
        "AlreadyExists",
        "BadRequest",
        "Conflict",
        "Expired",
        "Forbidden",
        "Gone",
        "InternalError",
        "Invalid",
        "MethodNotAllowed",
        "NotAcceptable",
        "NotFound",
        "RequestEntityTooLarge",
        "ServerTimeout",
        "ServiceUnavailable",
        "StoreReadError",
        "Timeout",
        "TooManyRequests",
        "Unauthorized",
        "UnsupportedMediaType",
    }
)

# The beginning of a message that names the object that denied the request. These are names of the
# cluster's own objects, and not part of the request.
_DENIED_BY = re.compile(
    r'(?:Internal error occurred: )?(?:failed calling|admission) webhook "(?P<webhook>[a-z0-9.-]+)"'
    r'|[a-z0-9.]+ "[a-z0-9.-]+" is forbidden: (?:'
    r"exceeded quota: (?P<quota>[a-z0-9.-]+),"
    r"|ValidatingAdmissionPolicy '(?P<policy>[a-z0-9.-]+)')"
)


def error_for(
    status: int, body: bytes, *, what: str, retry_after: str | None = None
) -> ApiError | ApiUnavailableError:
    """Return the exception for an error response.

    401, 403, 429 and 5xx can be repaired (a token, a Role, a webhook): they are not definite and
    worth a retry. So is a refusal by an admission webhook. So is a response that is not a Status of
    Kubernetes: a proxy's 404 says nothing about the object. Its text is not repeated.
    """
    status_document = _status_of(body)
    if status_document is None:
        text = f"{what}: {status}, not answered by Kubernetes itself"
        return ApiUnavailableError(text, retry_after=_seconds(retry_after), status=status)
    reason, message = status_document
    text = f"{what}: {status} {reason}{_denied_by(message)}"
    if status == 409 and reason == "AlreadyExists":  # noqa: PLR2004
        kind: type[ApiError] | None = AlreadyExistsError
    elif "request is too large" in message:
        # etcd's size limit arrives as a 500, but is definite.
        kind = RefusedError
    elif message.startswith("admission webhook"):
        kind = None
    else:
        kind = _BY_STATUS.get(status)
    if kind is None:
        return ApiUnavailableError(
            text, retry_after=_seconds(retry_after), status=status, server_message=message
        )
    return kind(text, status=status, reason=reason, server_message=message)


def _denied_by(message: str) -> str:
    """Return ` by webhook NAME` (or quota, or policy) if the message names one, else nothing."""
    found = _DENIED_BY.match(message)
    if found is None:
        return ""
    [(kind, name)] = [(kind, name) for kind, name in found.groupdict().items() if name]
    return f" by {kind} {name}"


def _seconds(retry_after: str | None) -> float:
    """Return Retry-After in seconds; 0 for a date or invalid text."""
    if retry_after is None or not retry_after.isdecimal():
        return 0.0
    return min(float(retry_after), _LONGEST_RETRY_AFTER_S)


def _status_of(body: bytes) -> tuple[str, str] | None:
    """Return reason and message of a Status; None for any other body."""
    try:
        document: Any = json.loads(body)
    except ValueError:
        return None
    if not isinstance(document, dict) or document.get("kind") != "Status":
        return None
    reason = document.get("reason")
    known = reason if isinstance(reason, str) and reason in _REASONS else "Unknown"
    return known, str(document.get("message") or "")[:512]
