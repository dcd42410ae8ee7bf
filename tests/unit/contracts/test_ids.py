"""Ids and names are deterministic, valid and unique."""

import base64
import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from sluice_contracts.ids import (
    RunId,
    RunKey,
    Tenant,
    derive_run_id,
    is_run_id,
    is_tenant,
    workflow_name,
)

RUN_IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", fullmatch=True)
TENANTS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
KEYS = st.builds(RunKey, TENANTS, RUN_IDS)
DNS_LABEL = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


@given(KEYS)
def test_a_workflow_name_is_a_dns_label_and_the_same_every_time(key: RunKey) -> None:
    assert DNS_LABEL.fullmatch(workflow_name(key))
    assert workflow_name(key) == workflow_name(RunKey(*key))


def test_a_workflow_name_follows_the_design() -> None:
    # Other languages must be able to compute it: base32(sha256("default" NUL "order-4711")).
    assert workflow_name(RunKey("default", "order-4711")) == "run-thpbmov3li4dtrkwqmubvxhhma"


@given(KEYS)
def test_a_workflow_name_is_lower_case_base32_of_a_digest(key: RunKey) -> None:
    digest = hashlib.sha256(f"{key.tenant}\0{key.run_id}".encode()).digest()
    written = base64.b32encode(digest).decode().lower()
    assert workflow_name(key) == f"run-{written[:26]}"


@given(KEYS, KEYS)
def test_different_runs_have_different_names_and_keys(one: RunKey, other: RunKey) -> None:
    same = one == other
    assert (workflow_name(one) == workflow_name(other)) is same
    assert (str(one) == str(other)) is same


@given(st.text("ab-._", min_size=2, max_size=12), st.data())
def test_the_boundary_between_tenant_and_id_matters(text: str, data: st.DataObject) -> None:
    splits = st.integers(min_value=0, max_value=len(text))
    first, second = data.draw(splits), data.draw(splits)
    keys = [RunKey(text[:at], text[at:]) for at in (first, second)]
    assert (workflow_name(keys[0]) == workflow_name(keys[1])) is (first == second)


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_a_derived_id_is_a_run_id_and_stable(parts: list[str]) -> None:
    assert is_run_id(derive_run_id(*parts))
    assert derive_run_id(*parts) == derive_run_id(*list(parts))


_PARTS = st.lists(st.text("ab/ .", max_size=4), min_size=2, max_size=4)


@given(_PARTS, _PARTS)
def test_derived_ids_do_not_collide_through_their_parts(one: list[str], other: list[str]) -> None:
    assert (derive_run_id(*one) == derive_run_id(*other)) is (one == other)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("a", True),
        ("Order_1.2-3", True),
        ("a" * 128, True),
        ("a" * 129, False),
        ("", False),
        (".hidden", False),
        ("-dash", False),
        ("a/b", False),
        ("a\n", False),
        ("a\0", False),
        ("é", False),
        ("٣", False),
    ],
)
def test_valid_and_invalid_run_ids(text: str, valid: bool) -> None:
    assert is_run_id(text) is valid
    assert _accepts(TypeAdapter(RunId), text) is valid


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("default", True),
        ("a", True),
        ("team-1", True),
        ("a" * 63, True),
        ("a" * 64, False),
        ("", False),
        ("Team", False),
        ("a-", False),
        ("-a", False),
        ("a.b", False),
        ("a\n", False),
    ],
)
def test_valid_and_invalid_tenants(text: str, valid: bool) -> None:
    assert is_tenant(text) is valid
    assert _accepts(TypeAdapter(Tenant), text) is valid


@given(st.text(max_size=8))
def test_model_and_predicate_agree(text: str) -> None:
    assert _accepts(TypeAdapter(RunId), text) is is_run_id(text)
    assert _accepts(TypeAdapter(Tenant), text) is is_tenant(text)


def _accepts(adapter: TypeAdapter[str], text: str) -> bool:
    try:
        adapter.validate_python(text)
    except ValidationError:
        return False
    return True
