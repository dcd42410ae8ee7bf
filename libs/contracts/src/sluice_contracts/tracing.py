"""The trace header that links a POST to its records, its Workflow and its events.

W3C Trace Context, https://www.w3.org/TR/trace-context/ , version 00.
"""

import re
import secrets
from typing import Final

__all__ = ["TRACEPARENT_HEADER", "continue_trace", "trace_id"]

TRACEPARENT_HEADER = "traceparent"

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})")


def continue_trace(traceparent: str | None) -> str:
    """Return a new span in the caller's trace, or a new trace if there is none."""
    parent = _TRACEPARENT.fullmatch(traceparent or "")
    trace, flags = parent.groups() if parent else (secrets.token_hex(16), "01")
    return f"00-{trace}-{secrets.token_hex(8)}-{flags}"


def trace_id(traceparent: str | None) -> str | None:
    """Return the trace id of the header; None if it is absent or malformed."""
    parent = _TRACEPARENT.fullmatch(traceparent or "")
    return parent[1] if parent else None
