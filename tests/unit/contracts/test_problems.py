"""Problem documents (RFC 9457): stable types, correct statuses, no values."""

import re

import pytest
from pydantic import BaseModel, Field, ValidationError, field_validator

from sluice_contracts.http_documents import HttpProblem
from sluice_contracts.problems import Problem, ProblemType, field_errors, problem


@pytest.mark.parametrize("kind", ProblemType)
def test_every_kind_has_a_title_a_status_and_a_stable_uri(kind: ProblemType) -> None:
    document = problem(kind, "What happened.")
    assert re.fullmatch(r"urn:sluice:problem:[a-z]+(-[a-z]+)*", document.type)
    assert document.title
    assert 400 <= document.status < 600
    assert Problem.model_validate_json(document.model_dump_json()) == document


def test_the_types_are_those_that_clients_know() -> None:
    assert {kind.rpartition(":")[2]: problem(kind, "").status for kind in ProblemType} == {
        "malformed-json": 400,
        "malformed-event": 400,
        "invalid-request": 422,
        "unknown-workflow": 422,
        "invalid-parameters": 422,
        "too-large": 413,
        "empty-record": 400,
        "id-conflict": 409,
        "idempotency-key-reused": 422,
        "expired": 422,
        "cancelled": 409,
        "refused-by-cluster": 422,
        "unknown-run": 404,
        "not-applicable": 409,
        "foreign-tenant": 403,
        "unsigned": 403,
        "not-found": 404,
        "method-not-allowed": 405,
        "unsupported-media-type": 415,
        "not-acceptable": 406,
        "unauthenticated": 401,
        "forbidden": 403,
        "log-truncated": 410,
        "log-gone": 410,
        "logs-disabled": 404,
        "count-changed": 412,
        "outcome-unknown": 503,
        "unavailable": 503,
        "overloaded": 429,
        "rate-limited": 429,
        "internal": 500,
    }


def test_the_types_that_may_be_repeated_are_those_of_the_documentation() -> None:
    repeatable = {kind for kind in ProblemType if kind.repeatable}
    assert {problem(kind, "").status for kind in repeatable} == {429, 500, 503}
    others = set(ProblemType) - repeatable
    assert not {problem(kind, "").status for kind in others} & {408, 429, 500, 503}


def test_what_may_have_been_written_is_said_so() -> None:
    unclear = {kind for kind in ProblemType if not kind.wrote_nothing}
    assert unclear == {ProblemType.OUTCOME_UNKNOWN, ProblemType.INTERNAL}


@pytest.mark.parametrize(
    ("status", "repeatable", "wrote_nothing"),
    [(408, True, True), (418, False, True), (429, True, True), (502, True, False)],
)
def test_a_problem_without_a_type_goes_by_its_status(
    status: int, repeatable: bool, wrote_nothing: bool
) -> None:
    for kind in ("about:blank", "urn:sluice:problem:of-tomorrow"):
        document = {"type": kind, "title": "T", "status": status, "detail": "D"}
        read = HttpProblem.model_validate(document)
        assert (read.type, read.status) == ("about:blank", status)
        assert (read.repeatable, read.wrote_nothing) == (repeatable, wrote_nothing)


def test_a_type_of_a_later_release_is_read() -> None:
    document = problem(ProblemType.EXPIRED, "d").model_dump(mode="json")

    read = Problem.model_validate(document | {"type": "urn:sluice:problem:of-tomorrow"})

    assert (read.type, read.title) == (ProblemType.INTERNAL, "Expired")
    for malformed in (7, None, ["urn:sluice:problem:expired"]):
        with pytest.raises(ValidationError):
            Problem.model_validate(document | {"type": malformed})


def test_absent_members_are_omitted() -> None:
    text = problem(ProblemType.INTERNAL, "Oops.").model_dump_json(exclude_none=True)
    assert "instance" not in text
    assert "trace_id" not in text


class _Parameters(BaseModel):
    workers: int = Field(ge=1)
    nested: dict[str, list[int]] = {}
    even: int = 0

    @field_validator("even")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("Must be even.")
        return value


def test_field_errors_point_into_the_document() -> None:
    with pytest.raises(ValidationError) as caught:
        _Parameters.model_validate({"workers": 0, "nested": {"a/b": [1, "x"]}, "even": 3})
    errors = field_errors(caught.value, prefix="/parameters")
    assert {error.pointer: error.detail for error in errors} == {
        "/parameters/workers": "Input should be greater than or equal to 1",
        "/parameters/nested/a~1b/1": "Input should be a valid integer, "
        "unable to parse string as an integer",
        "/parameters/even": "Must be even.",
    }
