"""Labels of requests: which names and values are valid."""

import pytest
from pydantic import JsonValue

from sluice_contracts.labels import MAX_LABEL_LENGTH, MAX_LABELS, is_label_name
from sluice_contracts.requests import InvalidRequestError, RunRequest, read_request


def _read(labels: JsonValue) -> RunRequest:
    request = read_request({"workflow": "hello", "labels": labels})
    assert isinstance(request, RunRequest)
    return request


@pytest.mark.parametrize("name", ["team", "app.kubernetes.io/name", "a", "A1", "x" * 63])
def test_a_name_is_valid(name: str) -> None:
    assert is_label_name(name)
    assert _read({name: "ops"}).labels == {name: "ops"}


@pytest.mark.parametrize("name", ["", "-a", "a-", "a=b", "a!", "a b", "ä", "x" * 64, "a\n"])
def test_a_name_is_not_valid(name: str) -> None:
    assert not is_label_name(name)
    with pytest.raises(InvalidRequestError) as caught:
        _read({name: "ops"})
    assert caught.value.errors[0].pointer.startswith("/labels/")


@pytest.mark.parametrize("value", ["", "a", "Grüße, {{workflow.name}}", "x" * MAX_LABEL_LENGTH])
def test_a_value_is_any_text_on_one_line(value: str) -> None:
    assert _read({"team": value}).labels == {"team": value}


@pytest.mark.parametrize("value", ["a\nb", "\x00", "\x7f", "x" * (MAX_LABEL_LENGTH + 1), 7, None])
def test_a_value_is_not_valid(value: JsonValue) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        _read({"team": value})
    assert caught.value.errors[0].pointer == "/labels/team"


def test_a_run_has_a_limited_number_of_labels() -> None:
    most: dict[str, JsonValue] = {f"l{number}": "" for number in range(MAX_LABELS)}
    assert len(_read(most).labels) == MAX_LABELS
    with pytest.raises(InvalidRequestError):
        _read(most | {"one-more": ""})


def test_labels_priority_and_parent_are_not_part_of_the_content() -> None:
    plain = RunRequest(workflow="hello")
    marked = RunRequest(workflow="hello", labels={"a": "b"}, priority="high", parent="order-1")
    assert marked.fingerprint == plain.fingerprint
