"""The controls topic, seen from the writing end."""

from datetime import timedelta

from sluice_contracts.controls import Control, ControlTarget, encode_control
from sluice_contracts.records import Appended
from sluice_gateway.ports import RecordTooLargeError, RequestNotAcknowledgedError
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.errors import KafkaUnavailableError, RecordRefusedError
from sluice_runtime.kafka.producer import Producer

__all__ = ["KafkaControlProducer"]


class KafkaControlProducer:
    """Writes controls to the topic, each within `timeout`."""

    def __init__(self, producer: Producer, *, topic: str, timeout: timedelta) -> None:
        self._producer = producer
        self._topic = topic
        self._timeout = timeout

    async def append_control(self, target: ControlTarget, control: Control) -> Appended:
        """See `ControlProducer.append_control`."""
        record = encode_control(target, control, source="/sluice/gateway")
        deadline = Deadline("writing the control", self._timeout)
        try:
            return await self._producer.send(self._topic, record, deadline=deadline)
        except KafkaUnavailableError as e:
            raise RequestNotAcknowledgedError(str(e)) from e
        except RecordRefusedError as e:
            raise RecordTooLargeError(str(e)) from e
