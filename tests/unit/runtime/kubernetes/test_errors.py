"""Responses of an API server: definite refusals, and everything else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_runtime.kubernetes.errors import (
    AlreadyExistsError,
    ApiError,
    ApiUnavailableError,
    ConflictError,
    GoneError,
    NotFoundError,
    RefusedError,
    error_for,
)

# As Kubernetes writes them.
DENIED = 'admission webhook "w.example.com" denied the request'
FAILED = 'failed calling webhook "w.example.com"'
FORBIDDEN = 'workflows.argoproj.io "sluice-1" is forbidden'


def status(code: int, reason: str | None, message: str | None = "no") -> bytes:
    return json.dumps(
        {"kind": "Status", "code": code, "reason": reason, "message": message}
    ).encode()


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (400, "BadRequest", RefusedError),
        (401, "Unauthorized", ApiUnavailableError),
        (403, "Forbidden", ApiUnavailableError),
        (404, "NotFound", NotFoundError),
        (405, "MethodNotAllowed", ApiUnavailableError),
        (409, "AlreadyExists", AlreadyExistsError),
        (409, "Conflict", ConflictError),
        (410, "Expired", GoneError),
        (410, "Gone", GoneError),
        (413, "RequestEntityTooLarge", RefusedError),
        (422, "Invalid", RefusedError),
        (429, "TooManyRequests", ApiUnavailableError),
        (500, "InternalError", ApiUnavailableError),
        (503, "ServiceUnavailable", ApiUnavailableError),
        (504, "Timeout", ApiUnavailableError),
    ],
)
def test_each_status_has_its_error(code: int, reason: str, kind: type[Exception]) -> None:
    error = error_for(code, status(code, reason), what="GET /x")
    assert type(error) is kind
    assert str(error) == f"GET /x: {code} {reason}"
    if isinstance(error, ApiError):
        assert (error.status, error.reason) == (code, reason)


@pytest.mark.parametrize("code", [301, 400, 404, 409, 410, 413, 422, 500, 503])
@pytest.mark.parametrize(
    "body",
    [b"", b"<html>not found</html>", b"404 page not found", b"[]", b'{"kind":"Pod"}', b"\xff"],
)
def test_a_response_of_a_proxy_is_unavailable(code: int, body: bytes) -> None:
    error = error_for(code, body, what="GET /x")
    assert isinstance(error, ApiUnavailableError)
    assert str(error) == f"GET /x: {code}, not answered by Kubernetes itself"


def test_a_refusal_by_a_webhook_is_unavailable() -> None:
    body = status(400, "BadRequest", 'admission webhook "x" denied the request')
    assert isinstance(error_for(400, body, what="POST /x"), ApiUnavailableError)


def test_etcds_size_limit_is_a_refusal() -> None:
    body = status(500, "InternalError", "etcdserver: request is too large")
    assert isinstance(error_for(500, body, what="POST /x"), RefusedError)


def test_a_status_may_lack_reason_and_message() -> None:
    assert str(error_for(404, status(404, None, None), what="GET /x")) == "GET /x: 404 Unknown"


@pytest.mark.parametrize(
    ("code", "reason", "message"),
    [
        (400, "BadRequest", 'admission webhook "w.example" denied the request: got "hunter2"'),
        (403, "hunter2", 'admission webhook "w.example" denied the request'),
        (422, "Invalid", 'Workflow "x" is invalid: spec.arguments: Invalid value: "hunter2"'),
        (500, "InternalError", 'failed calling webhook "w.example": hunter2 is not a number'),
    ],
)
def test_the_server_s_message_is_kept_out_of_the_error_s_text(
    code: int, reason: str, message: str
) -> None:
    """It can quote a parameter's value, and an error's text reaches logs and probes."""
    error = error_for(code, status(code, reason, message), what="POST /x")
    assert "hunter2" not in str(error) + repr(error)
    assert error.server_message == message


@pytest.mark.parametrize(
    ("message", "by"),
    [
        (f"{DENIED}: hunter2", "webhook w.example.com"),
        (DENIED, "webhook w.example.com"),
        (f"{FAILED}: hunter2", "webhook w.example.com"),
        (f"Internal error occurred: {FAILED}: EOF", "webhook w.example.com"),
        (f"{FORBIDDEN}: exceeded quota: few, requested: pods=1, used: 5", "quota few"),
        (f"{FORBIDDEN}: ValidatingAdmissionPolicy 'mine' denied request: hunter2", "policy mine"),
    ],
)
def test_the_denying_object_is_named(message: str, by: str) -> None:
    error = error_for(403, status(403, "Forbidden", message), what="POST /x")
    assert str(error) == f"POST /x: 403 Forbidden by {by}"


@pytest.mark.parametrize(
    "message",
    [
        'got "x" is forbidden: exceeded quota: hunter2',
        'admission webhook "hunter2 is a value" denied the request',
        'spec: Invalid value: "admission webhook \\"hunter2\\" denied"',
        'workflows.argoproj.io "x" is forbidden: User "hunter2" cannot create resource',
        "",
    ],
)
def test_text_that_only_looks_like_a_name_is_not_repeated(message: str) -> None:
    error = error_for(403, status(403, "Forbidden", message), what="POST /x")
    assert str(error) == "POST /x: 403 Forbidden"


def test_long_messages_are_cut() -> None:
    error = error_for(404, status(404, "NotFound", "m" * 9999), what="GET /x")
    assert len(error.server_message) == 512


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("7", 7),
        ("-7", 0),
        ("1.5", 0),
        ("²", 0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 0),
        ("999999999", 300),
        ("9" * 400, 300),
    ],
)
@pytest.mark.parametrize("body", [b"", status(429, "TooManyRequests")])
def test_retry_after_is_parsed(asked: str | None, seconds: float, body: bytes) -> None:
    error = error_for(429, body, what="GET /x", retry_after=asked)
    assert isinstance(error, ApiUnavailableError)
    assert error.retry_after == seconds


@given(st.integers(300, 599), st.binary(), st.none() | st.text())
def test_any_response_becomes_an_error(code: int, body: bytes, retry_after: str | None) -> None:
    assert str(error_for(code, body, what="GET /x", retry_after=retry_after)).startswith("GET /x")
