"""What an API server's answer means: a clear no of some kind, or no clear answer."""

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
def test_what_each_status_means(code: int, reason: str, kind: type[Exception]) -> None:
    error = error_for(code, status(code, reason), what="GET /x")
    assert type(error) is kind
    assert str(error) == f"GET /x: {code} {reason}: no"
    if isinstance(error, ApiError):
        assert (error.status, error.reason) == (code, reason)


@pytest.mark.parametrize("code", [301, 400, 404, 409, 410, 413, 422, 500, 503])
@pytest.mark.parametrize(
    "body",
    [b"", b"<html>not found</html>", b"404 page not found", b"[]", b'{"kind":"Pod"}', b"\xff"],
)
def test_whoever_is_not_kubernetes_says_nothing_of_the_object(code: int, body: bytes) -> None:
    error = error_for(code, body, what="GET /x")
    assert isinstance(error, ApiUnavailableError)
    assert str(error) == f"GET /x: {code}, not answered by Kubernetes itself"


def test_a_webhook_s_no_may_be_mended() -> None:
    body = status(400, "BadRequest", 'admission webhook "x" denied the request')
    assert isinstance(error_for(400, body, what="POST /x"), ApiUnavailableError)


def test_etcd_does_not_change_its_mind() -> None:
    body = status(500, "InternalError", "etcdserver: request is too large")
    assert isinstance(error_for(500, body, what="POST /x"), RefusedError)


def test_a_status_without_reason_or_message() -> None:
    assert str(error_for(404, status(404, None, None), what="GET /x")) == "GET /x: 404 Unknown: "


def test_long_messages_are_cut() -> None:
    assert len(str(error_for(404, status(404, "NotFound", "m" * 9999), what="GET /x"))) < 600


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
def test_how_long_to_wait(asked: str | None, seconds: float, body: bytes) -> None:
    error = error_for(429, body, what="GET /x", retry_after=asked)
    assert isinstance(error, ApiUnavailableError)
    assert error.retry_after == seconds


@given(st.integers(300, 599), st.binary(), st.none() | st.text())
def test_any_answer_is_some_error(code: int, body: bytes, retry_after: str | None) -> None:
    assert str(error_for(code, body, what="GET /x", retry_after=retry_after)).startswith("GET /x")
