"""Request records: written by any client, read by the dispatcher and the gateway's view."""

from dataclasses import dataclass
from datetime import datetime

from pydantic import JsonValue

from sluice_contracts import cloudevents, json_bounds, strict_json
from sluice_contracts.auth_context import Author, author_extensions
from sluice_contracts.fingerprints import (
    RunContent,
    document_fingerprint,
    value_fingerprint,
)
from sluice_contracts.ids import RunKey
from sluice_contracts.problems import Problem, ProblemType, problem
from sluice_contracts.record_origins import RecordOrigins, tenant_of, with_tenant
from sluice_contracts.records import MAX_HEADERS, IncomingRecord, OutgoingRecord, header
from sluice_contracts.requests import (
    Command,
    InvalidRequestError,
    RunRequest,
    read_request,
)
from sluice_contracts.run_ids import requested_run_id, stated_id
from sluice_contracts.topics import MAX_REQUEST_BYTES
from sluice_contracts.tracing import TRACEPARENT_HEADER, continue_trace

__all__ = [
    "InvalidRecordError",
    "ReceivedCommand",
    "ReceivedRun",
    "decode_request",
    "decoded_bytes",
    "encode_request",
]


@dataclass(frozen=True, kw_only=True)
class ReceivedRun:
    """A valid request for a run, with the run's id."""

    key: RunKey
    request: RunRequest
    traceparent: str
    requested_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class ReceivedCommand:
    """A valid command."""

    key: RunKey
    command: Command
    traceparent: str
    requested_by: str | None = None


class InvalidRecordError(ValueError):
    """A record that can never become valid.

    `key` is the run that it would have started, or None if the record states no usable id. It is
    None as well if the record is not from the tenant that it names; `claimed` is that run.
    `workflow` and `fingerprint` describe its content as far as it is readable, and `request` is the
    request if it is well formed but cannot be carried out.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        key: RunKey | None = None,
        claimed: RunKey | None = None,
        workflow: str | None = None,
        fingerprint: str | None = None,
        request: RunRequest | None = None,
        traceparent: str | None = None,
        requested_by: str | None = None,
    ) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.key = key
        self.claimed = claimed
        self.workflow = workflow
        self.fingerprint = fingerprint
        self.request = request
        self.traceparent = traceparent
        self.requested_by = requested_by


def encode_request(
    request: RunRequest | Command,
    *,
    key: RunKey,
    source: str,
    event_id: str,
    time: datetime,
    traceparent: str,
    content: RunContent | None = None,
    author: Author | None = None,
) -> OutgoingRecord:
    """Return the request as a CloudEvent in binary mode, under the run's key.

    If the request's `content` is given, the parameters are not encoded again.
    """
    return OutgoingRecord(
        key=str(key).encode(),
        value=_canonical(request, content),
        headers=cloudevents.binary_headers(
            event_type=f"sluice.request.{request.type}",
            source=source,
            event_id=event_id,
            subject=str(key),
            time=time,
            traceparent=traceparent,
            extensions=None if author is None else author_extensions(author),
        ),
    )


def decoded_bytes(value: bytes | None) -> int:
    """Return the most memory that `decode_request` needs for a record's value, in bytes.

    The result is 0 for a value that is refused without parsing. A CloudEvent whose data are base64
    may need twice as much.
    """
    if value is None or len(value) > MAX_REQUEST_BYTES:
        return 0
    return json_bounds.decoded_bytes(value, most_values=strict_json.MAX_VALUES) or 0


def decode_request(
    record: IncomingRecord, *, origins: RecordOrigins | None = None
) -> ReceivedRun | ReceivedCommand:
    """Return the request in a record of a request topic: plain JSON or a CloudEvent (any mode).

    `origins` decides whether it is from the tenant that it names; None trusts every record.

    Raises:
        InvalidRecordError: the record can never be valid. The error does not repeat its content.
    """
    traceparent = continue_trace(header(record.headers, TRACEPARENT_HEADER))
    if record.value is None:
        raise InvalidRecordError(
            problem(ProblemType.EMPTY_RECORD, "The record has no value (a tombstone)."),
            traceparent=traceparent,
        )
    if (why := _too_large(record)) is not None:
        raise InvalidRecordError(problem(ProblemType.TOO_LARGE, why), traceparent=traceparent)
    try:
        document, envelope = cloudevents.unwrap(record.value, record.headers)
    except strict_json.AmbiguousJsonError as e:
        # Only an id that is given once identifies the run; a duplicate id identifies nothing.
        salvaged = with_tenant(e.salvaged, record, origins=origins)
        run_id = stated_id(salvaged)
        _check_origin(record, salvaged, run_id=run_id, origins=origins, traceparent=traceparent)
        raise _invalid(
            problem(ProblemType.MALFORMED_JSON, str(e)),
            document=salvaged,
            content=value_fingerprint(record.value),
            run_id=run_id,
            traceparent=traceparent,
        ) from e
    except strict_json.OversizedJsonError as e:
        raise InvalidRecordError(
            problem(ProblemType.TOO_LARGE, str(e)), traceparent=traceparent
        ) from e
    except strict_json.MalformedJsonError as e:
        raise InvalidRecordError(
            problem(ProblemType.MALFORMED_JSON, str(e)), traceparent=traceparent
        ) from e
    except cloudevents.MalformedEventError as e:
        raise InvalidRecordError(
            problem(ProblemType.MALFORMED_EVENT, str(e)), traceparent=traceparent
        ) from e

    document = with_tenant(document, record, origins=origins)
    tenant = tenant_of(document)
    is_signed = bool(origins and tenant and origins.is_signed(record, tenant=tenant))
    run_id = requested_run_id(record, document, envelope, is_signed=is_signed)
    _check_origin(record, document, run_id=run_id, origins=origins, traceparent=traceparent)
    try:
        request = read_request(document)
    except InvalidRequestError as e:
        raise _invalid(
            problem(
                ProblemType.INVALID_REQUEST,
                "The document is not a valid request.",
                errors=e.errors,
            ),
            document=document,
            content=document_fingerprint(document) or value_fingerprint(record.value),
            run_id=run_id,
            traceparent=traceparent,
        ) from e
    requested_by = None if origins is None else origins.requested_by(record)
    if isinstance(request, Command):
        return ReceivedCommand(
            key=request.key, command=request, traceparent=traceparent, requested_by=requested_by
        )
    if run_id is None:
        raise AssertionError("A valid request for a run always has an id.")
    return ReceivedRun(
        key=RunKey(request.tenant, run_id),
        request=request.named(run_id),
        traceparent=traceparent,
        requested_by=requested_by,
    )


def _canonical(request: RunRequest | Command, content: RunContent | None) -> bytes:
    document = request.model_dump(
        mode="json", exclude_defaults=True, exclude={"type", "parameters"}
    )
    document["type"] = request.type
    members = {name: strict_json.canonical(value) for name, value in document.items()}
    if isinstance(request, RunRequest) and request.parameters:
        members["parameters"] = (content or request.content()).parameters
    return b"{%b}" % b",".join(
        b'"%b":%b' % (name.encode(), members[name]) for name in sorted(members)
    )


def _too_large(record: IncomingRecord) -> str | None:
    size = len(record.value or b"")
    if size > MAX_REQUEST_BYTES:
        return f"The record has {size} bytes; {MAX_REQUEST_BYTES} are allowed."
    if len(record.headers) > MAX_HEADERS:
        return f"The record has more than {MAX_HEADERS} headers."
    return None


def _check_origin(
    record: IncomingRecord,
    document: JsonValue,
    *,
    run_id: str | None,
    origins: RecordOrigins | None,
    traceparent: str,
) -> None:
    """Refuse a record that is not from the tenant which it names."""
    tenant = tenant_of(document)
    # A name that is none is refused for that, and touches nobody.
    if origins and tenant and (refusal := origins.problem(record, tenant=tenant)):
        claimed = None if run_id is None else RunKey(tenant, run_id)
        raise InvalidRecordError(refusal, claimed=claimed, traceparent=traceparent)


def _invalid(
    problem: Problem,
    *,
    document: JsonValue,
    content: str,
    run_id: str | None,
    traceparent: str,
) -> InvalidRecordError:
    """Return an error that describes the run as far as the invalid document allows."""
    members, tenant = document if isinstance(document, dict) else {}, tenant_of(document)
    # A command names an existing run, which an invalid command must not affect.
    is_run = members.get("type", "run") == "run"
    workflow = members.get("workflow")
    return InvalidRecordError(
        problem,
        key=RunKey(tenant, run_id) if tenant and run_id and is_run else None,
        workflow=workflow[:63] if isinstance(workflow, str) else None,
        fingerprint=content,
        traceparent=traceparent,
    )
