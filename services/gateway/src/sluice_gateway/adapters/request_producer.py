"""The request topics."""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from sluice_contracts.auth_context import Author
from sluice_contracts.fingerprints import RunContent
from sluice_contracts.ids import RunKey
from sluice_contracts.json_bounds import measure
from sluice_contracts.records import Appended, IncomingRecord, OutgoingRecord
from sluice_contracts.request_codec import encode_request
from sluice_contracts.requests import Command, RunRequest
from sluice_contracts.signatures import KeyRing
from sluice_contracts.strict_json import MAX_DEPTH, MAX_VALUES
from sluice_contracts.topic_sets import TopicSets
from sluice_contracts.topics import MAX_REQUEST_BYTES
from sluice_gateway.adapters.topic_set_producers import TopicSetProducers
from sluice_gateway.ports import (
    RecordTooLargeError,
    RequestNotAcknowledgedError,
    UnsafeTopicError,
)
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.errors import KafkaUnavailableError, RecordRefusedError

__all__ = ["KafkaRequestProducer"]

_SOURCE = "/sluice/gateway"


class KafkaRequestProducer:
    """Writes requests as CloudEvents to the topics of their tenants, each within `timeout`.

    `unsafe` says why a topic cannot be trusted with a request; None if it can. With `keys`, what
    goes to a topic of several tenants is signed.
    """

    def __init__(
        self,
        producers: TopicSetProducers,
        *,
        topics: TopicSets,
        timeout: timedelta,
        unsafe: Callable[[str], str | None] = lambda _: None,
        keys: KeyRing | None = None,
    ) -> None:
        self._producers = producers
        self._topics = topics
        self._keys = keys
        self._timeout = timeout
        self._unsafe = unsafe

    async def append(
        self,
        request: RunRequest,
        *,
        content: RunContent,
        key: RunKey,
        time: datetime,
        traceparent: str,
        author: Author,
    ) -> Appended:
        """See `RequestProducer.append`."""
        record = encode_request(
            request,
            content=content,
            author=author,
            key=key,
            source=_SOURCE,
            event_id=str(key),
            time=time,
            traceparent=traceparent,
        )
        return await self._append(record, tenant=key.tenant, time=time)

    async def append_command(
        self, command: Command, *, time: datetime, traceparent: str, author: Author
    ) -> Appended:
        """See `RequestProducer.append_command`."""
        record = encode_request(
            command,
            key=command.key,
            author=author,
            source=_SOURCE,
            # Each command is an event of its own, however often the same one is given.
            event_id=secrets.token_hex(16),
            time=time,
            traceparent=traceparent,
        )
        return await self._append(record, tenant=command.tenant, time=time)

    async def _append(self, record: OutgoingRecord, *, tenant: str, time: datetime) -> Appended:
        _check_size(record.value or b"")
        door = self._topics.of_tenant(tenant)
        topic = door.topics.requests
        if (why := self._unsafe(topic)) is not None:
            raise UnsafeTopicError(why)
        keys = self._keys if door.only_tenant != tenant else None
        if keys is not None:
            record = _signed(record, keys, tenant=tenant, time=time)
        deadline = Deadline("writing the request", self._timeout)
        try:
            appended = await self._producers.send(door, record, deadline=deadline)
        except KafkaUnavailableError as e:
            raise RequestNotAcknowledgedError(str(e)) from e
        except RecordRefusedError as e:
            raise RecordTooLargeError(str(e)) from e
        if keys is not None:
            _check_signature(record, appended, keys, tenant=tenant)
        return appended


def _signed(
    record: OutgoingRecord, keys: KeyRing, *, tenant: str, time: datetime
) -> OutgoingRecord:
    try:
        return keys.sign(record, tenant=tenant, seconds=int(time.timestamp()))
    except LookupError as e:
        # As a topic with wrong settings: only an operator can change that.
        raise UnsafeTopicError(f"{e} Add one to kafka.signing_keys_file.") from e


def _check_signature(
    record: OutgoingRecord, appended: Appended, keys: KeyRing, *, tenant: str
) -> None:
    """Refuse what its readers will: the clock of this machine may differ from the broker's."""
    read = IncomingRecord(
        position=appended.position,
        timestamp_ms=appended.timestamp_ms,
        key=record.key,
        value=record.value,
        headers=record.headers,
    )
    if (why := keys.refusal(read, tenant=tenant)) is not None:
        raise RequestNotAcknowledgedError(f"The record does not count: {why}. Set the clocks.")


def _check_size(value: bytes) -> None:
    """Refuse what the dispatcher would: a record may hold more than the body it was made of.

    Numbers may be longer there, and the record names the request's type and id.
    """
    if len(value) > MAX_REQUEST_BYTES:
        raise RecordTooLargeError(
            f"The request makes a record of {len(value)} bytes; {MAX_REQUEST_BYTES} are allowed."
        )
    values = measure(value, most_values=MAX_VALUES, most_depth=MAX_DEPTH).values
    if values > MAX_VALUES:
        raise RecordTooLargeError(
            f"The request makes a record of {values} values and names; {MAX_VALUES} are allowed."
        )
