"""Who asked for a request, in its record."""

from datetime import UTC, datetime

import pytest

from sluice_contracts.auth_context import Author
from sluice_contracts.ids import RunKey
from sluice_contracts.record_origins import RecordOrigins
from sluice_contracts.records import IncomingRecord, Position, header
from sluice_contracts.request_codec import decode_request, encode_request
from sluice_contracts.requests import Command, RunRequest, SimpleCommand
from sluice_contracts.topic_sets import TopicSets

NOW = datetime(2026, 11, 30, tzinfo=UTC)
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ADA = Author(type="user", id="user:ada")


def record(request: RunRequest | Command, author: Author | None) -> IncomingRecord:
    written = encode_request(
        request,
        key=RunKey("default", "a"),
        source="/test",
        event_id="e",
        time=NOW,
        traceparent=TRACEPARENT,
        author=author,
    )
    return IncomingRecord(
        position=Position("sluice.requests", 0, 1),
        timestamp_ms=0,
        key=written.key,
        value=written.value,
        headers=written.headers,
    )


@pytest.mark.parametrize(
    "request_", [RunRequest(id="a", workflow="hello"), SimpleCommand(type="stop", id="a")]
)
@pytest.mark.parametrize(
    ("author", "trusts", "requested_by"),
    [
        (ADA, True, "user:ada"),
        (ADA, False, None),
        (Author(type="unauthenticated", id=None), True, None),
        (Author(type="user", id="user:" + "a" * 300), True, "user:" + "a" * 251),
        (None, True, None),
    ],
)
def test_who_asked_counts_where_writers_are_trusted(
    request_: RunRequest | Command, author: Author | None, *, trusts: bool, requested_by: str | None
) -> None:
    origins = RecordOrigins(TopicSets(), trusts_authors=trusts)
    received = decode_request(record(request_, author), origins=origins)
    assert received.requested_by == requested_by
    # The word of a record alone does not count.
    assert decode_request(record(request_, author)).requested_by is None


def test_nobody_is_named_who_was_not_identified() -> None:
    headers = record(RunRequest(id="a", workflow="hello"), Author(type="unauthenticated", id=None))
    assert header(headers.headers, "ce_authtype") == "unauthenticated"
    assert header(headers.headers, "ce_authid") is None
