"""Request documents: valid ones, and the errors for invalid ones."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import JsonValue

from sluice_contracts.ids import RunKey
from sluice_contracts.problems import MAX_FIELD_ERRORS
from sluice_contracts.requests import (
    COMMANDS,
    Command,
    InvalidRequestError,
    RunRequest,
    read_request,
)

_PATTERN = "String should match pattern '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'"
_TENANT_PATTERN = "String should match pattern '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'"
_DATE = "Must be a date and time with offset, as in 2026-12-01T00:00:00Z."
_TYPES = "Must be one of run, stop, terminate, suspend, resume, retry."
_EXTRA = "Extra inputs are not permitted"
_OBJECT = "Input should be a valid dictionary"
_TEXT = "Input should be a valid string"


def test_the_design_s_request() -> None:
    request = read_request(
        {
            "id": "order-4711",
            "workflow": "map-reduce",
            "parameters": {"workers": 3, "text": "a b a"},
            "tenant": "default",
            "expires_at": "2026-12-01T00:00:00Z",
        }
    )
    assert request == RunRequest(
        id="order-4711",
        workflow="map-reduce",
        parameters={"workers": 3, "text": "a b a"},
        expires_at=datetime(2026, 12, 1, tzinfo=UTC),
    )


def test_only_the_workflow_is_required() -> None:
    request = read_request({"workflow": "hello"})
    assert isinstance(request, RunRequest)
    assert (request.type, request.id, request.tenant) == ("run", None, "default")
    assert (request.parameters, request.expires_at) == ({}, None)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_names_a_run(command: str) -> None:
    request = read_request({"type": command, "id": "order-4711", "tenant": "team-1"})
    assert isinstance(request, Command)
    assert (request.type, request.key) == (command, RunKey("team-1", "order-4711"))


def test_parameters_keep_their_types() -> None:
    parameters: dict[str, JsonValue] = {
        "i": 10**100,
        "f": 1.0,
        "b": True,
        "n": None,
        "l": [1, "1", {}],
    }
    request = read_request({"workflow": "w", "parameters": parameters})
    assert isinstance(request, RunRequest)
    assert repr(request.parameters) == repr(parameters)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-12-01T00:00:00Z", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-12-01t00:00:00z", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-12-01T02:00:00+02:00", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-12-01T00:00:00.5Z", datetime(2026, 12, 1, 0, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-12-01T00:00:00.123456789Z", datetime(2026, 12, 1, 0, 0, 0, 123_456, tzinfo=UTC)),
        (
            "9999-12-31T23:59:59-23:59",
            datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(-timedelta(hours=23, minutes=59))),
        ),
        (None, None),
    ],
)
def test_expires_at_is_rfc_3339(written: str | None, meant: datetime | None) -> None:
    request = read_request({"workflow": "w", "expires_at": written})
    assert isinstance(request, RunRequest)
    assert request.expires_at == meant


def test_the_end_of_time_can_be_compared_with_now() -> None:
    request = read_request({"workflow": "w", "expires_at": "9999-12-31T23:59:59-23:59"})
    assert isinstance(request, RunRequest)
    assert request.expires_at is not None
    assert request.expires_at > datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("document", "errors"),
    [
        (None, {"": "Must be a JSON object."}),
        ([], {"": "Must be a JSON object."}),
        ("run", {"": "Must be a JSON object."}),
        ({}, {"/workflow": "Field required"}),
        ({"workflow": ""}, {"/workflow": "String should have at least 1 character"}),
        ({"workflow": "w" * 64}, {"/workflow": "String should have at most 63 characters"}),
        ({"workflow": 1}, {"/workflow": _TEXT}),
        ({"workflow": None}, {"/workflow": _TEXT}),
        ({"workflow": "w", "id": "a/b"}, {"/id": _PATTERN}),
        ({"workflow": "w", "id": "a\n"}, {"/id": _PATTERN}),
        ({"workflow": "w", "id": 5}, {"/id": _TEXT}),
        ({"workflow": "w", "tenant": "A"}, {"/tenant": _TENANT_PATTERN}),
        ({"workflow": "w", "tenant": None}, {"/tenant": _TEXT}),
        ({"workflow": "w", "parameters": []}, {"/parameters": _OBJECT}),
        ({"workflow": "w", "parameters": None}, {"/parameters": _OBJECT}),
        ({"workflow": "w", "expires_at": 1_800_000_000}, {"/expires_at": _DATE}),
        ({"workflow": "w", "expires_at": "2026-12-01"}, {"/expires_at": _DATE}),
        ({"workflow": "w", "expires_at": "2026-12-01T00:00:00"}, {"/expires_at": _DATE}),
        ({"workflow": "w", "expires_at": "1800000000"}, {"/expires_at": _DATE}),
        ({"workflow": "w", "expires_at": "2026-12-01T00:00:00Z\n"}, {"/expires_at": _DATE}),
        ({"workflow": "w", "expires_at": ""}, {"/expires_at": _DATE}),
        ({"workflow": "w", "extra": 1}, {"/extra": _EXTRA}),
        ({"workflow": "w", "a/b~c": 1}, {"/a~1b~0c": _EXTRA}),
        ({"workflow": "w", "": 1}, {"/": _EXTRA}),
        ({"type": "runs", "workflow": "w"}, {"/type": _TYPES}),
        ({"type": None, "workflow": "w"}, {"/type": _TYPES}),
        ({"type": ["stop"], "id": "a"}, {"/type": _TYPES}),
        ({"type": {"stop": 1}, "id": "a"}, {"/type": _TYPES}),
        ({"type": "stop"}, {"/id": "Field required"}),
        ({"type": "stop", "id": None}, {"/id": _TEXT}),
        ({"type": "stop", "id": "a", "workflow": "w"}, {"/workflow": _EXTRA}),
        (
            {"type": "retry", "id": "a", "restart_succeeded": 1},
            {"/restart_succeeded": "Input should be a valid boolean"},
        ),
        (
            {"id": "", "workflow": 1, "tenant": "-", "x": 1},
            {"/id": _PATTERN, "/workflow": _TEXT, "/tenant": _TENANT_PATTERN, "/x": _EXTRA},
        ),
    ],
)
def test_every_fault_is_named(document: JsonValue, errors: dict[str, str]) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_request(document)
    assert {error.pointer: error.detail for error in caught.value.errors} == errors
    for pointer, detail in errors.items():
        assert f"{pointer or 'document'}: {detail}" in str(caught.value)


@pytest.mark.parametrize(
    "moment",
    [
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-12-01T24:00:00Z",
        "2026-12-01T00:00:60Z",
        "2026-12-01T00:00:00+99:99",
        "0000-01-01T00:00:00Z",
    ],
)
def test_a_date_that_does_not_exist_is_refused(moment: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_request({"workflow": "w", "expires_at": moment})
    assert [error.pointer for error in caught.value.errors] == ["/expires_at"]
    assert moment not in str(caught.value)


def test_the_number_of_named_faults_is_limited() -> None:
    document: JsonValue = {f"unknown-{number}": 1 for number in range(10_000)}
    with pytest.raises(InvalidRequestError) as caught:
        read_request(document)
    *named, rest = caught.value.errors
    assert len(named) == MAX_FIELD_ERRORS
    assert (rest.pointer, rest.detail) == (
        "",
        f"{10_001 - MAX_FIELD_ERRORS} more places are wrong.",
    )


def test_the_maximum_number_of_faults_has_no_remainder() -> None:
    document: JsonValue = {"workflow": "w"} | {f"u{n}": 1 for n in range(MAX_FIELD_ERRORS)}
    with pytest.raises(InvalidRequestError) as caught:
        read_request(document)
    assert len(caught.value.errors) == MAX_FIELD_ERRORS


def test_a_clients_name_is_shortened() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_request({"workflow": "w", "x" * 100_000: 1})
    assert [error.pointer for error in caught.value.errors] == ["/" + "x" * 128]


def test_requests_are_immutable_and_can_be_copied_with_an_id() -> None:
    request = RunRequest(workflow="w", parameters={"a": 1})
    with pytest.raises(ValueError, match="frozen"):
        request.workflow = "v"  # type: ignore[misc]
    named = request.named("a")
    assert (named.id, request.id) == ("a", None)
    assert named.fingerprint == request.fingerprint


def test_the_fingerprint_is_of_workflow_and_parameters_alone() -> None:
    request = RunRequest(workflow="w", parameters={"a": 1})
    same = RunRequest(
        id="x", tenant="t", workflow="w", parameters={"a": 1}, expires_at=datetime.now(UTC)
    )
    assert same.fingerprint == request.fingerprint
    assert RunRequest(workflow="w").fingerprint != request.fingerprint
    assert RunRequest(workflow="v", parameters={"a": 1}).fingerprint != request.fingerprint
