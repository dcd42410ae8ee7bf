"""What the API server answers when it does not do as asked."""

import json
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

    `status` is that of the answer, None if there was none.
    """

    def __init__(
        self, message: str, *, retry_after: float = 0.0, status: int | None = None
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.status = status


class ApiError(Exception):
    """The API server's clear no; `reason` is Kubernetes' word for it."""

    def __init__(self, message: str, *, status: int, reason: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


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
    text = f"{what}: {status} {reason}: {message}"
    if status == 409 and reason == "AlreadyExists":  # noqa: PLR2004
        return AlreadyExistsError(text, status=status, reason=reason)
    if "request is too large" in message:
        # etcd's limit comes through as a 500, though it will never change its mind.
        return RefusedError(text, status=status, reason=reason)
    kind = _BY_STATUS.get(status)
    if kind is None or message.startswith("admission webhook"):
        return ApiUnavailableError(text, retry_after=_seconds(retry_after), status=status)
    return kind(text, status=status, reason=reason)


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
    return str(document.get("reason") or "Unknown"), str(document.get("message") or "")[:512]
