import json
from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, JsonValue, field_validator

from sluice_contracts.problems import MAX_FIELD_ERRORS, FieldError
from sluice_workflows.builtin import BUILT_IN
from sluice_workflows.entries import Entry, TemplateRef
from sluice_workflows.errors import CatalogueError, InvalidParametersError
from sluice_workflows.parameters import Parameters, PlainText, Text
from tests.unit.workflows.support import Everything, entry_of, one_step

EVERYTHING = entry_of(one_step, parameters=Everything)


def errors_of(entry: Entry, parameters: Mapping[str, JsonValue]) -> dict[str, str]:
    with pytest.raises(InvalidParametersError) as refused:
        entry.arguments(parameters)
    assert all(isinstance(error, FieldError) for error in refused.value.errors)
    return {error.pointer: error.detail for error in refused.value.errors}


def test_every_declared_parameter_gets_an_argument() -> None:
    assert EVERYTHING.arguments({"text": "Ada", "flag": False}) == {
        "text": "QWRh",
        "plain": "x",
        "number": "3",
        "flag": "false",
        "choice": "red",
    }


def test_a_parameter_goes_by_its_alias() -> None:
    class Aliased(Parameters):
        workers: int = Field(4, alias="num-workers")

    entry = entry_of(one_step, parameters=Aliased)

    assert entry.arguments({"num-workers": 5}) == {"num-workers": "5"}
    assert errors_of(entry, {"workers": 5}) == {
        "/parameters/workers": "unknown parameter; this workflow takes `num-workers`; "
        "did you mean `num-workers`?"
    }


def test_errors_point_at_each_place_and_never_repeat_a_value() -> None:
    errors = errors_of(
        EVERYTHING,
        {"plain": "{{secret}}", "number": "secret", "flag": 1, "choice": "secret", "a/b~": 1},
    )

    assert set(errors) == {
        "/parameters/text",
        "/parameters/plain",
        "/parameters/number",
        "/parameters/flag",
        "/parameters/choice",
        "/parameters/a~1b~0",
    }
    assert errors["/parameters/text"] == "is required"
    assert "secret" not in json.dumps(errors)


@pytest.mark.parametrize(
    "number", [3.0, True, "3", None, 2**53, -(2**53), pytest.param(10**5000, id="huge")]
)
def test_an_integer_must_be_exact_in_json(number: JsonValue) -> None:
    assert list(errors_of(EVERYTHING, {"text": "", "number": number})) == ["/parameters/number"]


def test_a_hostile_name_cannot_break_the_report() -> None:
    errors = errors_of(EVERYTHING, {"text": "", "\ud800" * 1000: 1})

    (pointer,) = errors
    assert len(pointer) < 1000
    assert pointer.isascii()


def test_the_number_of_errors_is_limited() -> None:
    errors = errors_of(EVERYTHING, {"text": ""} | {f"p{i}": i for i in range(1000)})

    assert len(errors) == MAX_FIELD_ERRORS + 1
    assert errors["/parameters"] == f"{1000 - MAX_FIELD_ERRORS} more places are wrong"


def test_an_authors_validator_is_applied() -> None:
    class Even(Parameters):
        number: int

        @field_validator("number")
        @classmethod
        def _even(cls, number: int) -> int:
            if number % 2:
                raise ValueError("must be even")
            return number

    assert errors_of(entry_of(one_step, parameters=Even), {"number": 3}) == {
        "/parameters/number": "must be even"
    }


def test_the_message_names_workflow_and_places() -> None:
    with pytest.raises(InvalidParametersError, match=r"`tried`.*/parameters/text: is required"):
        EVERYTHING.arguments({})


def test_a_workflow_without_parameters_refuses_any() -> None:
    assert errors_of(entry_of(one_step), {"x": 1}) == {
        "/parameters/x": "unknown parameter; this workflow takes none"
    }


@pytest.mark.parametrize("entry", [*BUILT_IN, EVERYTHING], ids=lambda entry: entry.name)
def test_the_schema_is_valid_json_schema_of_plain_types(entry: Entry) -> None:
    schema = entry.parameter_schema()

    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["additionalProperties"] is False


def test_the_schema_has_the_limit_of_a_text() -> None:
    properties: Any = EVERYTHING.parameter_schema()["properties"]

    assert properties["text"] == {
        "type": "string",
        "title": "Text",
        "maxLength": 16,
        "description": "At most 16 bytes as UTF-8.",
    }
    assert properties["plain"]["description"] == "At most 16 bytes as UTF-8 on one line."
    assert "description" not in properties["number"]


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(list(Everything.model_fields)), st.text(max_size=20)))
def test_model_and_schema_accept_the_same_values(texts: dict[str, str]) -> None:
    parameters: dict[str, JsonValue] = {**texts}
    try:
        EVERYTHING.arguments(parameters)
    except InvalidParametersError:
        return
    jsonschema.validate(parameters, EVERYTHING.parameter_schema())


class Colour(Enum):
    RED = "red"


class BareText(Parameters):
    name: Annotated[str, Field(max_length=3)]


class BareOther(Parameters):
    price: float


class AnEnum(Parameters):
    colour: Colour


class NumberChoice(Parameters):
    choice: Literal[1, 2]


class BraceChoice(Parameters):
    choice: Literal["{{x}}"]


class BadName(Parameters):
    value: int = Field(alias="a.b")


class TooMuch(Parameters):
    first: Annotated[str, Text(max_bytes=256 * 1024)]
    second: Annotated[str, PlainText(max_bytes=256 * 1024)]


class WrongDefault(Parameters):
    number: int = Field(0, ge=1)


class NotStrict(BaseModel):
    number: int


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (BareText, "parameter `name` is a bare str"),
        (BareOther, "parameter `price` is a <class 'float'>"),
        (AnEnum, "parameter `colour`"),
        (NumberChoice, "parameter `choice` is a Literal: its values must be"),
        (BraceChoice, "parameter `choice` is a Literal: its values must be"),
        (BadName, "parameter `a.b`: Argo accepts"),
        (TooMuch, "fit into etcd"),
        (WrongDefault, "the default of parameter `number`"),
        (NotStrict, "does not extend"),
    ],
)
def test_an_unsafe_model_is_refused(model: Any, message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        entry_of(one_step, parameters=model)


@pytest.mark.parametrize("name", ["", "Hello", "a_b", "-a", "a-", "a.b", "a\n", "a" * 64])
def test_a_workflow_is_named_by_a_dns_label(name: str) -> None:
    with pytest.raises(CatalogueError, match="is not a valid name of a workflow"):
        entry_of(one_step, name=name)


@pytest.mark.parametrize("name", ["", "A", "a..b", "a/b", "a" * 64, ".".join(["a" * 63] * 4)])
def test_a_template_is_named_by_a_dns_subdomain(name: str) -> None:
    with pytest.raises(CatalogueError, match="not a valid name of a WorkflowTemplate"):
        TemplateRef(name=name)


def test_a_template_may_have_dots() -> None:
    assert TemplateRef(name="team.report-1").name == "team.report-1"
