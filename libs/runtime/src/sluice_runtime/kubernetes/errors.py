"""What the API server answers when it does not do as asked.

The text of these errors reaches logs, probes and tracebacks. The server's message can quote the
object that was sent, and with it a parameter's value: it is an attribute, and no part of the text.
"""

import json
import re
from typing import Any

__all__ = [
    "AlreadyExistsError",
    "ApiError",
    "ApiUnavailableError",
    "ConflictError",
    "GoneError",
    "NotFoundError",
    "RefusedError",
    "error_for",
]


class ApiUnavailableError(Exception):
    """No clear answer: the request may have been carried out or not. Trying again may help.

    `status` is that of the answer, None if there was none; `server_message` is the server's own
    message, if it sent one: never log it.
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


class ApiError(Exception):
    """The API server's clear no; `reason` is Kubernetes' word for it.

    `server_message` is the server's own message: never log it.
    """

    def __init__(self, text: str, *, status: int, reason: str, server_message: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason
        self.server_message = server_message


class NotFoundError(ApiError):
    """404: there is no such object, or no such resource."""


class ConflictError(ApiError):
    """409, or 422 to a failed JSON Patch `test`: the object is not what it was thought to be."""


class AlreadyExistsError(ApiError):
    """409 AlreadyExists: the name is taken."""


class GoneError(ApiError):
    """410: the resourceVersion or continue token is too old; list anew."""


class RefusedError(ApiError):
    """400, 413 or 422: asked again, the answer would be the same."""


# Whatever a proxy asks for, work goes on without a human soon after all is well again.
_LONGEST_RETRY_AFTER_S = 300.0

_BY_STATUS: dict[int, type[ApiError]] = {
    400: RefusedError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    413: RefusedError,
    422: RefusedError,
}

# metav1.StatusReason. A webhook may set any text as its reason.
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

# How a message begins that names who denied the request. Names of the cluster's own objects, at the
# beginning of the text: nothing that the request held.
_DENIED_BY = re.compile(
    r'(?:Internal error occurred: )?(?:failed calling|admission) webhook "(?P<webhook>[a-z0-9.-]+)"'
    r'|[a-z0-9.]+ "[a-z0-9.-]+" is forbidden: (?:'
    r"exceeded quota: (?P<quota>[a-z0-9.-]+),"
    r"|ValidatingAdmissionPolicy '(?P<policy>[a-z0-9.-]+)')"
)


def error_for(
    status: int, body: bytes, *, what: str, retry_after: str | None = None
) -> ApiError | ApiUnavailableError:
    """Turn an error response into the exception that says what can be done about it.

    401, 403, 429 and 5xx are somebody's to mend, a token, a Role or a webhook: they are unclear
    answers, to be tried again, and so is the word of an admission webhook. So is whatever is not
    Kubernetes' own Status: a proxy's 404 says nothing of the object, and is not repeated.
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
        # etcd's limit comes through as a 500, though it will never change its mind.
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
    """Give ` by webhook NAME` (or quota, or policy) as far as the message says so, or nothing."""
    found = _DENIED_BY.match(message)
    if found is None:
        return ""
    [(kind, name)] = [(kind, name) for kind, name in found.groupdict().items() if name]
    return f" by {kind} {name}"


def _seconds(retry_after: str | None) -> float:
    """Read Retry-After in seconds; a date, or nonsense, counts as none."""
    if retry_after is None or not retry_after.isdecimal():
        return 0.0
    return min(float(retry_after), _LONGEST_RETRY_AFTER_S)


def _status_of(body: bytes) -> tuple[str, str] | None:
    """Give reason and message of a Status, None if this is none."""
    try:
        document: Any = json.loads(body)
    except ValueError:
        return None
    if not isinstance(document, dict) or document.get("kind") != "Status":
        return None
    reason = document.get("reason")
    known = reason if isinstance(reason, str) and reason in _REASONS else "Unknown"
    return known, str(document.get("message") or "")[:512]
