"""The Kafka contract as an AsyncAPI 3 document, made of the messages' models and the topics.

https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from typing import Any, Final

from pydantic import TypeAdapter

from sluice_contracts.audit import AUDIT_TYPE, AuditRecord, audit_topic
from sluice_contracts.cloudevents import STRUCTURED
from sluice_contracts.controls import Control
from sluice_contracts.dead_letters import LetterDecision
from sluice_contracts.notices import QueueNotice, RefusalNotice
from sluice_contracts.problems import Problem
from sluice_contracts.requests import ResumeCommand, RetryCommand, RunRequest, SimpleCommand
from sluice_contracts.schemas import ContractSchema, Mode
from sluice_contracts.status import Phase, StatusEvent
from sluice_contracts.status_codec import QUEUED, REFUSED, event_type
from sluice_contracts.topics import TopicNames, TopicSpec, controls_topic, topic_table

__all__ = ["asyncapi"]

_JSON: Final = "application/json"
_KEY: Final = {"type": "string", "description": "`tenant/run id`."}
_ANY_KEY: Final = {
    "type": "string",
    "description": "Any or none. Commands under the run's key keep their order with its request.",
}

_LETTER: Final = {
    "type": "string",
    "description": "Where the letter stands, as `topic/partition@offset`.",
}
_TARGET: Final = {
    "type": "string",
    "pattern": "^(tenant|workflow)/",
    "description": "What is controlled: `tenant/<name>` or `workflow/<name>`.",
}
_ABOUT: Final = {
    "type": "string",
    "description": "`tenant/run id` of the run that it is about; without one, there is no key.",
}

_MODELS: Final[list[tuple[str, Mode, Any]]] = [
    ("run", "validation", RunRequest),
    ("command", "validation", SimpleCommand | ResumeCommand | RetryCommand),
    ("event", "serialization", StatusEvent),
    ("refusal", "serialization", RefusalNotice),
    ("queued", "serialization", QueueNotice),
    ("problem", "serialization", Problem),
    ("decision", "serialization", LetterDecision),
    ("control", "validation", Control),
    ("audit", "serialization", AuditRecord),
]

_READ: Final = {
    "requests": "The dispatcher and the gateways read requests and commands of any client.",
    "controls": "The dispatchers and the gateways read what is paused; the gateways write it, too.",
}
_WRITTEN: Final = {
    "status": "Every state of every run is published.",
    "results": "The outcome of every run is published.",
    "dlq": "A record that can never be valid is published as it was received, and behind it what "
    "was done with it.",
    "audit": "Every start, command, control and refusal over HTTP is published.",
}


def asyncapi(
    names: TopicNames, *, controls: str | None = None, audit: str | None = None
) -> dict[str, Any]:
    """Return the document for topics of these names; those of controls and audit may be missing."""
    inputs = [(name, mode, TypeAdapter(model)) for name, mode, model in _MODELS]
    schemas, definitions = TypeAdapter.json_schemas(
        inputs, ref_template="#/components/schemas/{model}", schema_generator=ContractSchema
    )
    payloads = {name: schemas[name, mode] for name, mode, _ in _MODELS}
    table = topic_table(names)
    outcomes = [event_type(phase) for phase in Phase if phase.terminal]
    events = [event_type(phase) for phase in Phase if phase is not Phase.ACCEPTED]
    messages = {
        "runRequest": _request(payloads["run"], "A request for a run.", "sluice.request.run"),
        "command": _request(payloads["command"], "A command to an existing run.", None),
        "statusEvent": _published(payloads["event"], "One state of one run.", events, event=True),
        "outcome": _published(payloads["event"], "The outcome of a run.", outcomes, event=True),
        "refusalNotice": _published(payloads["refusal"], "A request was refused.", [REFUSED]),
        "queueNotice": _published(payloads["queued"], "A request waits.", [QUEUED]),
        "deadLetter": _dead_letter(),
        "deadLetterDecision": _decision(payloads["decision"]),
        "control": _control(payloads["control"]),
        "auditRecord": _published(
            payloads["audit"], "Who did or tried what over HTTP.", [AUDIT_TYPE], key=_ABOUT
        ),
    }
    channels = {
        "requests": _channel(table.requests, "runRequest", "command"),
        "status": _channel(table.status, "statusEvent", "refusalNotice", "queueNotice"),
        "results": _channel(table.results, "outcome"),
        "dlq": _channel(table.dlq, "deadLetter", "deadLetterDecision"),
        **({"controls": _channel(controls_topic(controls), "control")} if controls else {}),
        **({"audit": _channel(audit_topic(audit), "auditRecord")} if audit else {}),
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Sluice on Kafka",
            "version": "1.0.0",
            "description": "One record starts exactly one Argo Workflow; its states and its "
            "outcome are published. Values are UTF-8 JSON; what Sluice writes are CloudEvents 1.0 "
            "in binary mode. Ignore types and members that you do not know.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": _JSON,
        "channels": channels,
        "operations": {
            f"{verb}-{name}": _operation(action, name, text)
            for verb, action, texts in (
                ("read", "receive", _READ),
                ("publish", "send", _WRITTEN),
            )
            for name, text in texts.items()
            if name in channels
        },
        "components": {"messages": messages, "schemas": definitions["$defs"]},
    }


def _operation(action: str, channel: str, summary: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "bindings": {"kafka": {"bindingVersion": "0.5.0"}},
    }


def _channel(topic: TopicSpec, *messages: str) -> dict[str, Any]:
    return {
        "address": topic.name,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "topicConfiguration": {
                    "cleanup.policy": topic.cleanup_policy.split(","),
                    "retention.ms": topic.retention_ms,
                    "retention.bytes": -1,
                    "max.message.bytes": topic.max_message_bytes,
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _request(payload: dict[str, Any], summary: str, event: str | None) -> dict[str, Any]:
    """Describe what clients write; a value without any header is complete."""
    kind = {"const": event} if event else {"pattern": r"^sluice\.request\.[a-z]+$"}
    headers = _cloud_event({"type": "string", **kind})
    headers["content-type"] = {"enum": [_JSON, STRUCTURED]}
    return _message(
        payload,
        f"{summary} CloudEvents in structured mode are taken as well.",
        headers,
        key=_ANY_KEY,
    )


def _control(payload: dict[str, Any]) -> dict[str, Any]:
    """Describe what clients write to pause; a value without any header is complete."""
    headers = _cloud_event({"type": "string", "pattern": r"^sluice\.control\.[a-z]+$"})
    headers["ce_subject"] = {"type": "string", "description": "As the key."}
    summary = "The state of a tenant or workflow; it is running after a record without a value."
    return _message(payload, summary, headers, key=_TARGET)


def _published(
    payload: dict[str, Any],
    summary: str,
    types: list[str],
    *,
    event: bool = False,
    key: dict[str, Any] = _KEY,
) -> dict[str, Any]:
    headers = _cloud_event({"enum": types})
    if event:
        headers["ce_sequence"] = {"type": "string", "description": "The event's `sequence`."}
        headers["ce_fingerprint"] = {
            "type": "string",
            "description": "Identifies the content of the request.",
        }
    required = [name for name in headers if name not in ("traceparent", "ce_fingerprint")]
    return _message(payload, summary, headers, key=key, required=required)


def _dead_letter() -> dict[str, Any]:
    text = {"type": "string"}
    headers = {
        "sluice_reason": {**text, "description": "The problem's `type`."},
        "sluice_problem": {
            **text,
            "contentMediaType": "application/problem+json",
            "description": "The problem document, as #/components/schemas/Problem has it.",
        },
        "sluice_topic": {**text, "description": "Where the record stood."},
        "sluice_partition": text,
        "sluice_offset": text,
        "sluice_timestamp": {**text, "description": "Milliseconds of the epoch."},
        "sluice_run": {**text, "description": "`tenant/run id`; empty if none is known."},
        "sluice_truncated": {**text, "description": "Size of the record, if it was cut."},
    }
    required = [name for name in headers if name != "sluice_truncated"]
    summary = "A record that can never be valid, with its own headers and these behind them."
    return _message({}, summary, headers, key=_ANY_KEY, required=required)


def _decision(payload: dict[str, Any]) -> dict[str, Any]:
    types = ["sluice.dead-letter.replayed", "sluice.dead-letter.dropped"]
    headers = _cloud_event({"enum": types})
    headers["ce_subject"] = _LETTER
    required = [name for name in headers if name != "traceparent"]
    summary = "What was done with a letter that stands before it on the partition."
    return _message(payload, summary, headers, key=_LETTER, required=required)


def _message(
    payload: dict[str, Any],
    summary: str,
    headers: dict[str, Any],
    *,
    key: dict[str, Any],
    required: list[str] | None = None,
) -> dict[str, Any]:
    schema = {"type": "object", "properties": headers}
    return {
        "summary": summary,
        "contentType": _JSON,
        "headers": schema | ({"required": required} if required else {}),
        "payload": payload,
        "bindings": {"kafka": {"key": key, "bindingVersion": "0.5.0"}},
    }


def _cloud_event(kind: dict[str, Any]) -> dict[str, Any]:
    """Describe the headers of a CloudEvent in binary mode."""
    text = {"type": "string"}
    return {
        "ce_specversion": {"const": "1.0"},
        "ce_type": kind,
        "ce_source": text,
        "ce_id": text,
        "ce_subject": {**text, "description": "`tenant/run id`."},
        "ce_time": {**text, "format": "date-time"},
        "content-type": {"const": _JSON},
        "traceparent": {**text, "description": "https://www.w3.org/TR/trace-context/"},
    }
