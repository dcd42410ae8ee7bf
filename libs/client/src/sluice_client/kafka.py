"""The client over Kafka: it works without the gateway. Needs the extra `kafka`.

Requests and commands are records, and events are read from the status topic. Places of events are
those of the HTTP API.
"""

from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self, Unpack

try:
    import aiokafka as _  # noqa: F401 - said here what is missing
except ImportError as e:
    raise ImportError(
        "sluice_client.kafka needs aiokafka: install sluice-client with its extra `kafka`."
    ) from e

from sluice_client.documents import checked, run_request
from sluice_client.filters import RunFilters
from sluice_client.kafka_connection import KafkaConnection, unreachable
from sluice_client.kafka_events import tail
from sluice_client.kafka_runs import KafkaRun, WrittenRequest
from sluice_client.outcomes import Event
from sluice_contracts.ids import DEFAULT_TENANT, RunKey, new_run_id
from sluice_contracts.requests import Priority
from sluice_contracts.topics import TopicNames

__all__ = ["KafkaRun", "KafkaSluice"]

# The clocks of brokers differ a little.
_SLACK_MS: Final = 60_000


class KafkaSluice:
    """A connection to Kafka: `async with KafkaSluice("kafka:9092") as sluice`.

    Args:
        bootstrap_servers: some of the brokers, `host:port`, separated by commas.
        topics: the topics of the tenant, if it has some of its own.
        tenant: who runs belong to, unless a call says so.
        timeout: for how many seconds brokers may be silent, while connecting, writing or closing.
        settings: aiokafka's settings of security, such as `security_protocol`.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        topics: TopicNames | None = None,
        tenant: str = DEFAULT_TENANT,
        timeout: float = 30.0,
        **settings: Any,  # noqa: ANN401 - aiokafka's
    ) -> None:
        self.tenant = tenant
        self._brokers = bootstrap_servers
        self._connection = KafkaConnection(
            topics=topics or TopicNames(),
            settings={"bootstrap_servers": bootstrap_servers, **settings},
            timeout=timeout,
        )

    def __repr__(self) -> str:
        """Name the brokers; the settings may have a password."""
        return f"<KafkaSluice {self._brokers}>"

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            UnreachableError: no broker answered.
        """
        await self._connection.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all connections; what is being sent is sent, if brokers take it in time."""
        await self._connection.close()

    async def start(
        self,
        workflow: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,  # noqa: A002 - the name that it has everywhere
        tenant: str | None = None,
        labels: Mapping[str, str] | None = None,
        priority: Priority = "normal",
        expires_at: datetime | None = None,
        parent: str | None = None,
    ) -> KafkaRun:
        """Write a request for a run, and return the run once Kafka has it.

        Whether the workflow exists and the parameters fit is decided when the request is read: if
        not, the run is Rejected. `wait` and `events` raise `IdConflictError` if the id belongs to a
        run with other content.

        Raises:
            InvalidRequestError: the request is malformed, or too large.
            OutcomeUnknownError: repeat it with the id in the message.
        """
        request = run_request(
            {
                "workflow": workflow,
                "parameters": parameters,
                "id": id or new_run_id(datetime.now(UTC)),
                "tenant": tenant or self.tenant,
                "labels": labels,
                "priority": priority,
                "expires_at": expires_at,
                "parent": parent,
            }
        )
        key = RunKey(request.tenant, request.id or "")
        unclear = f"Start it again with the id {key.run_id!r}."
        written = await self._connection.write(request, key, unclear=unclear)
        # A run that has an id of ours is new: there is nothing of it before the request.
        since = None if id else written.timestamp_ms - _SLACK_MS
        asked = WrittenRequest(position=str(written.position), fingerprint=request.fingerprint)
        return KafkaRun(self._connection, key, request=asked, since_ms=since)

    def run(self, id: str, *, tenant: str | None = None) -> KafkaRun:  # noqa: A002 - as everywhere
        """Return a run that was started before; nothing is read yet.

        Raises:
            InvalidRequestError: no run can have this id.
        """
        return KafkaRun(self._connection, checked(RunKey(tenant or self.tenant, id)))

    async def partitions(self) -> dict[str, int]:
        """Return how many partitions the topics of requests and of states have, by their names.

        Raises:
            UnreachableError: no broker answered, or there is no such topic.
        """
        topics = self._connection.topics
        found = {}
        for topic in (topics.requests, topics.status):
            with unreachable():
                found[topic] = len(await self._connection.partitions_of(topic))
        return found

    def events(
        self, *, after: str | None = None, **filters: Unpack[RunFilters]
    ) -> AsyncGenerator[Event]:
        """Yield the events of all runs of the topics that the filters select; it does not end.

        `after` is the place of an event, from here or from HTTP: the next one is the one behind it.
        Without it, the events that are still to come are yielded.

        Raises:
            EventsGoneError: the events behind the place are no longer kept.
            UnreachableError: Kafka cannot be read.
        """
        return tail(self._connection, after=after, filters=filters)
