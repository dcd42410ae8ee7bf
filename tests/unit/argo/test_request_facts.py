"""Facts of the request in a Workflow's annotations."""

from datetime import UTC, datetime

import pytest

from sluice_argo import metadata
from sluice_argo.request_facts import RequestFacts, decode_request_facts, encode_request_facts
from sluice_contracts.status import AppliedCommand

NOW = datetime(2026, 12, 1, 9, 30, 0, 250000, tzinfo=UTC)


def test_defaults_need_no_annotation() -> None:
    assert encode_request_facts(RequestFacts()) == {}
    assert decode_request_facts({}) == RequestFacts()


def test_what_was_written_is_read() -> None:
    facts = RequestFacts(
        labels={"team": "Grüße", "a": ""},
        priority="high",
        parent="order-1",
        requested_by="key:ci",
        accepted_at=NOW,
        has_private_parameters=True,
        last_command=AppliedCommand(type="stop", reason="Too slow", applied_at=NOW),
    )
    assert decode_request_facts(encode_request_facts(facts)) == facts


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (metadata.LABELS, "no json"),
        (metadata.LABELS, '{"a": 7}'),
        (metadata.LABELS, '{"-": "x"}'),
        (metadata.PRIORITY, "urgent"),
        (metadata.PARENT, "a b"),
        (metadata.ACCEPTED_AT, "yesterday"),
        (metadata.ACCEPTED_AT, "2026-12-01T00:00:00"),
        (metadata.LAST_COMMAND, '{"type": "explode"}'),
        (metadata.REQUESTED_BY, 7),
        (metadata.LABELS, ["a"]),
    ],
)
def test_an_annotation_that_was_tampered_with_counts_as_absent(name: str, text: object) -> None:
    assert decode_request_facts({name: text}) == RequestFacts()
