"""Pausing, draining and resuming a tenant or a workflow: records of the compacted controls topic.

The key says what is controlled, the last value its state. Without a record, or after one without a
value, it is running. Of what is paused or draining, no new run starts; live runs go on.
"""

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sluice_contracts import cloudevents
from sluice_contracts.ids import is_tenant
from sluice_contracts.records import IncomingRecord, OutgoingRecord
from sluice_contracts.requests import Rfc3339
from sluice_contracts.status import event_id

__all__ = [
    "Control",
    "ControlState",
    "ControlTarget",
    "InvalidControlError",
    "decode_control",
    "encode_control",
]

ControlState = Literal["running", "paused", "draining"]

_KINDS: Final = ("tenant", "workflow")
_TYPE: Final = "sluice.control"


class InvalidControlError(ValueError):
    """A record of the controls topic cannot be read; the message says why, without its values.

    `target` is what it names; None if even that is not known.
    """

    def __init__(self, message: str, *, target: "ControlTarget | None" = None) -> None:
        super().__init__(message)
        self.target = target


class Control(BaseModel):
    """The state of a tenant or a workflow."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    state: Annotated[
        ControlState,
        Field(
            description="`paused` and `draining` start nothing new; `draining` says that somebody "
            "waits until nothing is live. `running` ends both."
        ),
    ]
    reason: Annotated[
        str | None, Field(max_length=1024, description="Why, in the words of who asks for it.")
    ] = None
    by: Annotated[
        str | None, Field(max_length=256, description="Who asks for it, such as `user:ada`.")
    ] = None
    at: Annotated[
        Rfc3339 | None,
        Field(description="When it was asked for. Without it, Kafka's time of the record counts."),
    ] = None

    @property
    def stops_starts(self) -> bool:
        """Whether nothing new starts."""
        return self.state != "running"


@dataclass(frozen=True)
class ControlTarget:
    """What is controlled: the tenant or the workflow of that name."""

    kind: Literal["tenant", "workflow"]
    name: str

    def __str__(self) -> str:
        """Return the record's key, `tenant/<name>` or `workflow/<name>`."""
        return f"{self.kind}/{self.name}"


def encode_control(target: ControlTarget, control: Control, *, source: str) -> OutgoingRecord:
    """Write a control as a CloudEvent in binary mode; `control.at` must be set."""
    at = control.at
    if at is None:
        raise ValueError("A control that is written needs its time.")
    return OutgoingRecord(
        key=str(target).encode(),
        value=control.model_dump_json().encode(),
        headers=cloudevents.binary_headers(
            event_type=f"{_TYPE}.{control.state}",
            source=source,
            event_id=event_id("control", str(target), control.state, at.isoformat()),
            subject=str(target),
            time=at,
            traceparent=None,
        ),
    )


def decode_control(record: IncomingRecord) -> tuple[ControlTarget, Control | None]:
    """Read a record of the controls topic; None is that of a target that runs.

    A value without headers is complete. Members that are not known are passed over.

    Raises:
        InvalidControlError: the target has to stay paused. Compaction may have removed the record
            before this one, so a reader that has just started could not go by that.
    """
    try:
        kind, _, name = (record.key or b"").decode().partition("/")
    except UnicodeDecodeError:
        kind = name = ""
    if kind not in _KINDS or not is_tenant(name):
        raise InvalidControlError(
            f"{record.position}: the key must be tenant/<name> or workflow/<name>."
        )
    target = ControlTarget("tenant" if kind == "tenant" else "workflow", name)
    if not record.value:
        return target, None
    try:
        return target, Control.model_validate_json(record.value, extra="ignore")
    except ValidationError as e:
        places = ", ".join("/".join(map(str, error["loc"])) or "value" for error in e.errors())
        raise InvalidControlError(
            f"{record.position}: {target} is controlled by an invalid value: {places}.",
            target=target,
        ) from None
