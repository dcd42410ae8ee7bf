"""Which media type a client gets (RFC 9110 section 12.5.1)."""

import pytest

from sluice_gateway.domain.media_types import preferred

SSE, NDJSON = "text/event-stream", "application/x-ndjson"


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", SSE),
        (" , ", SSE),
        ("*/*", SSE),
        ("text/*", SSE),
        ("application/*", NDJSON),
        ("Application/X-NDJSON", NDJSON),
        ("application/x-ndjson;charset=utf-8", NDJSON),
        ("text/event-stream, application/x-ndjson", SSE),
        ("application/x-ndjson, text/event-stream", SSE),
        ("text/event-stream;q=0.5, application/x-ndjson", NDJSON),
        ("text/event-stream; Q = 0.5 , application/x-ndjson;q=0.501", NDJSON),
        ("*/*;q=0.1, application/x-ndjson;q=0.2", NDJSON),
        ("text/event-stream;q=0, */*", NDJSON),
        ("text/*;q=0.1, */*;q=0.9", NDJSON),
        ("text/*;q=0.9, text/event-stream;q=0.1, */*;q=0.5", NDJSON),
        ("*/*;q=0", None),
        ("text/event-stream;q=0.0, text/*;q=0", None),
        ("text/html, application/json", None),
        ("nonsense", None),
        ("*/x-ndjson", None),
        ("text/event-stream;q=2", None),
        ("text/event-stream;q=high, application/x-ndjson;q=0.1", NDJSON),
    ],
)
def test_the_highest_weight_wins_and_the_most_precise_range_gives_it(
    accept: str, wanted: str | None
) -> None:
    assert preferred(accept, (SSE, NDJSON)) == wanted
