"""The trace header that links a POST to its records, its Workflow and its events.

W3C Trace Context, https://www.w3.org/TR/trace-context/ , version 00.
"""

import random
import re
from typing import Final

__all__ = ["TRACEPARENT_HEADER", "continue_trace", "trace_id"]

TRACEPARENT_HEADER = "traceparent"

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})")


def continue_trace(traceparent: str | None) -> str:
    """Return a new span in the caller's trace, or a new trace if there is none."""
    parent = _TRACEPARENT.fullmatch(traceparent or "")
    trace, flags = parent.groups() if parent else (_new_id(bits=128), "01")
    return f"00-{trace}-{_new_id(bits=64)}-{flags}"


def _new_id(*, bits: int) -> str:
    # Ids of traces need not be secret, and the system's randomness costs a system call.
    return f"{random.getrandbits(bits) or 1:0{bits // 4}x}"


def trace_id(traceparent: str | None) -> str | None:
    """Return the trace id of the header; None if it is absent or malformed."""
    parent = _TRACEPARENT.fullmatch(traceparent or "")
    return parent[1] if parent else None
